"""Tern from Python: what MLflow has no word for.

    import tern

    hub = tern.connect()                     # as `tern login` left it, or by TERN_HUB and TERN_TOKEN
    hub.models.publish("digit-reader", "model/")
    hub.rollouts.start("digit-reader@latest", slot="digit-reader", percent=25)

Experiments, runs and registered models are MLflow's own client's, which the hub serves unmodified.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import errors
from .api import types
from .captures import Capture
from .errors import Problem, TernError
from .hub import Hub, connect
from .jobs import Job, NotSucceeded
from .labels import Imported, Label
from .models import Published
from .rollouts import NotComplete, Rollout

if TYPE_CHECKING:
    from . import dataset, package

__all__ = [
    "Capture",
    "Hub",
    "Imported",
    "Job",
    "Label",
    "NotComplete",
    "NotSucceeded",
    "Problem",
    "Published",
    "Rollout",
    "TernError",
    "connect",
    "dataset",
    "errors",
    "package",
    "types",
]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # These need NumPy; whoever only asks a hub does without.
    if name in ("dataset", "package"):
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
