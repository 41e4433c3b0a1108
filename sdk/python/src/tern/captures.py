"""Inputs from the field with what was predicted, and with the truth once somebody said it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import islice
from typing import TYPE_CHECKING, Any

from . import errors
from .api import types as t
from .api.calls import Calls

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

AT_ONCE = 200
"""Captures of a page: with large inputs it stays well under what an answer may be."""


@dataclass(frozen=True)
class Capture:
    """One stored input."""

    view: t.CaptureView
    """All that the hub says of it."""

    @property
    def device(self) -> str:
        """The device that predicted."""
        return self.view["device"]

    @property
    def prediction(self) -> str:
        """Which of its predictions."""
        return self.view["prediction"]

    @property
    def at(self) -> datetime:
        """When, in UTC."""
        return datetime.fromtimestamp(self.view["at"] / 1000, timezone.utc)

    @property
    def predicted(self) -> str:
        """The predicted class; of a model that answers numbers the number."""
        return self.view["class"]

    @property
    def truth(self) -> str | None:
        """The right class or number, once somebody said it."""
        return self.view.get("truth")

    @property
    def weight(self) -> float | None:
        """For how many inputs it stands, that is the inverse of the probability with which it was kept; nothing if no
        estimate may count it."""
        return 1 / self.view["probability"] if self.view["probability"] > 0 else None

    def numpy(self) -> NDArray[np.float32]:
        """The input, in its shape; refused if it was not kept."""
        import numpy as np

        if (why := self.view.get("no_input")) is not None:
            raise errors.TernError(f"the input of {self.device} {self.prediction} is not there: {why}")
        return np.asarray(self.view["input"], dtype=np.float32).reshape(self.view["shape"])


class Captures:
    """Captures of the workspace."""

    def __init__(self, api: Calls) -> None:
        self._api = api

    def query(
        self,
        model: str | None = None,
        *,
        site: str | None = None,
        labelled: bool | None = None,
        request: int | None = None,
        version: int | None = None,
        most: int | None = None,
    ) -> Iterator[Capture]:
        """Those that match, the newest first, fetched as they are asked for.

        - labelled: only those with a truth, or only those without.
        - request: only those that came for this request.
        - most: no more than so many.
        """
        page = AT_ONCE if most is None else max(1, min(AT_ONCE, most))
        found = self._api.list_captures(model=model, site=site, labelled=labelled, request=request, limit=page)
        of = (Capture(view) for view in found if version is None or view["version"] == version)
        return islice(of, most)

    def arrays(self, model: str, **which: Any) -> tuple[NDArray[np.float32], NDArray[np.str_]]:
        """Inputs and truths of the labelled captures of a model, to train on. `which` is as for `query`.

        Captures whose input was not kept are left out.
        """
        import numpy as np

        found = [one for one in self.query(model, labelled=True, **which) if one.view.get("no_input") is None]
        shapes = {tuple(one.view["shape"]) for one in found}
        if len(shapes) > 1:
            raise errors.TernError(f"the captures of {model} have several shapes: {sorted(shapes)}; query one `version`")
        if not found:
            return np.empty((0,), np.float32), np.empty((0,), np.str_)
        truths = np.asarray([one.view["truth"] for one in found], dtype=np.str_)
        inputs = np.stack([one.numpy() for one in found])
        # A capture is a batch of one.
        return (inputs[:, 0] if inputs.ndim > 1 and inputs.shape[1] == 1 else inputs), truths

    def frame(self, model: str | None = None, **which: Any) -> pd.DataFrame:
        """Captures as a table: a row each, with the input as an array in `input` (nothing if it was not kept)."""
        import pandas as pd

        rows = [
            {
                "device": one.device, "prediction": one.prediction, "site": one.view["site"],
                "model": one.view["model"], "version": one.view["version"],
                "at": one.at, "predicted": one.predicted, "confidence": one.view["confidence"],
                "probability": one.view["probability"], "truth": one.truth,
                "input": one.numpy() if one.view.get("no_input") is None else None,
            }
            for one in self.query(model, **which)
        ]
        columns = ["device", "prediction", "site", "model", "version", "at", "predicted", "confidence", "probability",
                   "truth", "input"]
        return pd.DataFrame(rows, columns=columns)

    def kept(self, model: str | None = None, *, site: str | None = None) -> t.CapturesKept:
        """How many there are, of what, and what devices spent of their budgets."""
        return self._api.captures_kept(model=model, site=site)

    def request(
        self,
        count: int,
        *,
        model: str | None = None,
        site: str | None = None,
        device: str | None = None,
        slot: str | None = None,
        within: float = 3600.0,
    ) -> t.CaptureRequestView:
        """Asks devices for `count` of their next inputs each, for `within` seconds."""
        new: t.NewCaptureRequest = {"count": count, "within_s": round(within)}
        for key, value in (("model", model), ("site", site), ("device", device), ("slot", slot)):
            if value is not None:
                new[key] = value  # type: ignore[literal-required]
        return self._api.request_captures(new)
