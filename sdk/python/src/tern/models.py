"""Models and their versions.

Must never break: what is wrong with a package is said before a byte is sent; a file is read in pieces, however large.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from . import errors
from ._http import PIECE
from .api import types as t
from .api.calls import Calls
from .streams import Pages

DESCRIPTION = "publish.json"
"""What makes a directory a package."""

_FILES = ("onnx", "golden", "reference")
_KEYS = {*_FILES, "inputs", "outputs", "classes", "pre", "post", "min_agent", "metrics", "note", "validation_accuracy"}


@dataclass(frozen=True)
class Published:
    """What became of a package."""

    version: t.VersionView
    """The version, with what vetting measured."""
    new: bool
    """False: the same files had been published before as this version."""

    @property
    def name(self) -> str:
        """As people and `rollouts.start` write it: `digit-reader@2`."""
        return f"{self.version['model']}@{self.version['version']}"


class Models:
    """Models of the workspace."""

    def __init__(self, api: Calls) -> None:
        self._api = api

    def list(self) -> Pages[t.ModelView]:
        """All of them."""
        return self._api.list_models()

    def version(self, model: str, version: int | str = "latest") -> t.VersionView:
        """One version: a number, or `latest`. `digit-reader@2` may be written in one, too."""
        if "@" in model:
            model, version = model.split("@", 1)
        if version != "latest":
            try:
                return self._api.show_version(model, int(version))
            except ValueError:
                raise errors.TernError(f"`{model}@{version}`: a version is a number, or `latest`") from None
        newest = max(self._api.show_model(model)["versions"], key=lambda one: one["version"], default=None)
        if newest is None:
            raise errors.TernError(f"model {model} has no version yet")
        return newest

    def publish(
        self,
        model: str,
        package: str | os.PathLike[str],
        *,
        note: str | None = None,
        told: Callable[[str, int], None] | None = None,
    ) -> Published:
        """Sends the files of a package that the hub lacks, and has the hub vet the model as its next version.

        `package` is a directory with `publish.json`, as `tern.package.write` makes it. `told` hears of each file and
        how many bytes of it were sent. A model that the hub refuses is `errors.Refused`; its `findings` say why. Doing
        it again with the same files gives the same version.
        """
        described = _read(Path(package))
        new = cast(t.NewVersion, {key: value for key, value in described.items() if key not in _FILES})
        if note is not None:
            new["note"] = note
        for part in _FILES:
            if part not in described:
                continue
            path = Path(package) / described[part]
            digest, length = _digest(path)
            new[part] = digest  # type: ignore[literal-required]
            sent = 0
            if not self._api.head_blob(digest):
                with open(path, "rb") as file:
                    self._api.put_blob(digest, file)
                sent = length
            if told is not None:
                told(described[part], sent)
        version, fresh = self._api.publish_version(model, new)
        return Published(version, fresh)

    def transcode(self, model: str, version: int | str = "latest", *, to: t.Transcoding) -> Published:
        """Publishes a version once more with its weights stored in fewer bits."""
        number = self.version(model, version)["version"]
        made, fresh = self._api.transcode_version(model.split("@", 1)[0], number, {"to": to})
        return Published(made, fresh)


def _read(directory: Path) -> dict[str, Any]:
    path = directory / DESCRIPTION
    try:
        described = json.loads(path.read_text("utf-8"))
    except OSError as err:
        raise errors.BadPackage(
            f"{path} cannot be read ({err.strerror}); a package is a directory with a {DESCRIPTION}") from None
    except ValueError as err:
        raise errors.BadPackage(f"{path} is no description of a package: {err}") from None
    if not isinstance(described, dict):
        raise errors.BadPackage(f"{path} is no description of a package: it is no object")
    unknown, missing = described.keys() - _KEYS, {"onnx", "golden", "inputs", "outputs"} - described.keys()
    if unknown or missing:
        told = [f"unknown `{key}`" for key in sorted(unknown)] + [f"no `{key}`" for key in sorted(missing)]
        raise errors.BadPackage(f"{path} is no description of a package: {', '.join(told)}")
    return described


def _digest(path: Path) -> tuple[str, int]:
    hashed, length = hashlib.sha256(), 0
    try:
        with open(path, "rb") as file:
            while piece := file.read(PIECE):
                hashed.update(piece)
                length += len(piece)
    except OSError as err:
        raise errors.BadPackage(f"{DESCRIPTION} names {path}, which cannot be read ({err.strerror})") from None
    if not length:
        raise errors.BadPackage(f"{path} is empty; was the trainer interrupted?")
    return hashed.hexdigest(), length
