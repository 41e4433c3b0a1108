"""A hub: where everything begins.

`connect()` gives one. What has words of its own is found in its parts (`models`, `rollouts`, `captures`, `labels`);
`api` has every call there is.
"""

from __future__ import annotations

import os

from . import _session
from ._http import ANSWER, RETRIES, Http
from .api import types as t
from .api.calls import Calls
from .captures import Captures
from .datasets import Datasets
from .jobs import Jobs
from .labels import Labels
from .models import Models
from .proposals import Proposals
from .rollouts import Rollouts


def connect(
    url: str | None = None,
    token: str | None = None,
    *,
    ca: str | os.PathLike[str] | None = None,
    workspace: str | None = None,
    timeout: float = ANSWER,
    retries: int = RETRIES,
) -> Hub:
    """The hub at `url`, asked with `token`. Does not connect yet.

    What is left out is found as the command line finds it: `TERN_HUB`, `TERN_TOKEN`, `TERN_CA` and `TERN_WORKSPACE`,
    then what `tern login` stored; in a job what the job was given (`TERN_URL`), and else what points MLflow's client at
    its server (`MLFLOW_TRACKING_URI`, `MLFLOW_TRACKING_TOKEN`, `MLFLOW_TRACKING_SERVER_CERT_PATH`).

    - ca: who vouches for the hub, if this machine does not trust it anyway: a file of PEM, or PEM itself.
    - workspace: the one that all calls speak about.
    - timeout: seconds for an answer, unless a call says otherwise. What a model is run for has five minutes at least.
    - retries: how often a request is made again that may be. What changes something is not, unless it did not arrive.
    """
    meant = _session.find(url, token, ca, workspace)
    return Hub(Http(meant.target, timeout=timeout, retries=retries), meant.workspace)


class Hub:
    """A hub, seen from one workspace."""

    def __init__(self, http: Http, workspace: str) -> None:
        self._http = http
        self.api = Calls(http, workspace)
        """Every call of the hub, as its OpenAPI document has it."""
        self.models = Models(self.api)
        """Models and their versions: publish, look."""
        self.rollouts = Rollouts(self.api)
        """Move devices to a version: start, wait, approve, stop."""
        self.captures = Captures(self.api)
        """Inputs from the field with what was predicted."""
        self.labels = Labels(self.api)
        """What was right."""
        self.proposals = Proposals(self.api)
        """What rounds of retraining ask: list, agree, decline."""
        self.datasets = Datasets(self.api)
        """Dataset versions: make, look, write out."""
        self.jobs = Jobs(self.api)
        """Commands with an environment, data and limits: submit, wait, read, cancel."""

    def __repr__(self) -> str:
        return f"Hub({self.url!r}, workspace={self.workspace!r})"

    @property
    def url(self) -> str:
        """Where it is."""
        return self._http.base

    @property
    def workspace(self) -> str:
        """Which workspace is spoken about."""
        return self.api.workspace

    def in_workspace(self, workspace: str) -> Hub:
        """The same hub, seen from another workspace."""
        return Hub(self._http, workspace)

    def me(self) -> t.Me:
        """Who the hub says we are."""
        return self.api.show_me()
