"""Where the hub is and who we are, if nobody says: the environment, then what `tern login` stored.

The same as the command line does, in the same order. Must never break: a token goes only to the hub that it is for.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import errors
from ._http import Target, address

WORKSPACE = "default"
"""The workspace that is always there."""


@dataclass(frozen=True)
class Meant:
    """What was meant: a hub, and the workspace if somebody named one."""

    target: Target
    workspace: str


def find(url: str | None, token: str | None, ca: str | os.PathLike[str] | None, workspace: str | None) -> Meant:
    """What arguments say, then the environment, then the login; a token only for its hub."""
    asked = url or _set("TERN_HUB")
    token = token or _set("TERN_TOKEN")
    workspace = workspace or _set("TERN_WORKSPACE")
    pem = _pem(ca) if ca is not None else _file("TERN_CA")
    stored = _stored(asked)
    if stored is None:
        # What a job is given, and what points MLflow's client at the same hub.
        tracking = _set("MLFLOW_TRACKING_URI")
        same = tracking if tracking and tracking.startswith("http") else None
        if same and (asked is None or address(asked) == address(same)):
            asked = asked or _set("TERN_URL") or same
            if address(asked) == address(same):
                token = token or _set("MLFLOW_TRACKING_TOKEN") or _set("MLFLOW_TRACKING_PASSWORD")
                pem = pem or _file("MLFLOW_TRACKING_SERVER_CERT_PATH")
        asked = asked or _set("TERN_URL")
        if asked is None:
            raise errors.NoHub("nobody said where the hub is: give its address, set TERN_HUB, or log in with `tern login`")
        return Meant(Target(address(asked), token, pem), workspace or WORKSPACE)
    if token is None and stored["expires_at"] <= time.time() * 1000:
        raise errors.NoHub(f"the token has expired; log in again: tern login {stored['url']}")
    target = Target(address(stored["url"]), token or stored["token"], pem or stored.get("ca"))
    return Meant(target, workspace or stored["workspace"])


def _stored(asked: str | None) -> dict[str, Any] | None:
    """The hub that a person means among those they are logged in to; the latest, if they name none."""
    if asked is None and _set("TERN_URL"):
        # In a job: whoever is logged in on this machine is somebody else.
        return None
    place = _credentials()
    try:
        hubs = json.loads(place.read_text("utf-8"))["hubs"] if place else []
        for hub in hubs:
            hub["url"], hub["token"], hub["workspace"], hub["expires_at"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        raise errors.NoHub(f"{place} cannot be read, or is damaged; remove it and log in again: tern login URL") from None
    if asked is None:
        return hubs[0] if hubs else None
    bare = asked.strip().rstrip("/")
    # `localhost:8443` is read as plain HTTP where nobody logged in over TLS.
    wanted = [f"https://{bare}"] if "://" not in bare else []
    wanted += [bare, address(asked)]
    return next((hub for url in wanted for hub in hubs if hub["url"] == url), None)


def _credentials() -> Path | None:
    if own := _set("TERN_CONFIG_DIR"):
        return Path(own) / "credentials.json"
    if xdg := _set("XDG_CONFIG_HOME"):
        return Path(xdg) / "tern" / "credentials.json"
    if home := _set("HOME"):
        return Path(home) / ".config" / "tern" / "credentials.json"
    return None


def _set(name: str) -> str | None:
    return os.environ.get(name) or None


def _file(variable: str) -> str | None:
    path = _set(variable)
    return None if path is None else _pem(path)


def _pem(ca: str | os.PathLike[str]) -> str:
    """Certificates, given as PEM or as a file with it."""
    if isinstance(ca, str) and "-----BEGIN" in ca:
        return ca
    try:
        return Path(ca).read_text("ascii")
    except (OSError, ValueError) as err:
        raise errors.NotTrusted(f"the authorities of the hub cannot be read: {err}") from None
