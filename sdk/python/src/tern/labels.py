"""What was right: truths about captured predictions.

Must never break: a truth that the hub refuses is told with what it was and why, and holds nothing else up. Sending the
same twice changes nothing, so that what broke off is sent again as it is.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Union, cast

from . import errors
from .api import types as t
from .api.calls import Calls

if TYPE_CHECKING:
    import pandas as pd

AT_ONCE = 10_000
"""Labels of one request: the hub takes no more."""

COLUMNS = ("device", "prediction", "truth")
"""What a table of labels has, among others."""


class Label(NamedTuple):
    """The truth about one prediction."""

    device: str
    """The device that predicted."""
    prediction: str
    """Which of its predictions."""
    truth: str
    """The right class by its name, or the right number."""


class RefusedLabel(NamedTuple):
    """A label that the hub did not take."""

    label: Label
    reason: str


@dataclass
class Imported:
    """What became of labels."""

    added: int = 0
    changed: int = 0
    """Those that replaced another truth."""
    unchanged: int = 0
    """Those that said what was known."""
    refused: list[RefusedLabel] = field(default_factory=list)


Given = Union[tuple[str, str, Union[str, int, float]], Mapping[str, object]]
"""A label as a program has it: `(device, prediction, truth)`, a `Label`, or something with these keys."""


class Labels:
    """Labels of the workspace."""

    def __init__(self, api: Calls) -> None:
        self._api = api

    def send(self, labels: Iterable[Given] | pd.DataFrame, *, dry_run: bool = False) -> Imported:
        """Sends labels, ten thousand at once. With `dry_run` it is only said what would become of them.

        Takes tuples, mappings, and a DataFrame with the columns `device`, `prediction` and `truth`.
        """
        became = Imported()
        for batch in _batches(_read(labels)):
            body: t.LabelImport = {"labels": [cast(t.NewLabel, one._asdict()) for one in batch], "dry_run": dry_run}
            said = self._api.import_labels(body)
            became.added += said["added"]
            became.changed += said["changed"]
            became.unchanged += said["unchanged"]
            became.refused += [RefusedLabel(batch[one["index"]], one["reason"]) for one in said["refused"]]
        return became

    def send_csv(self, path: str | os.PathLike[str], *, dry_run: bool = False) -> Imported:
        """The same from a CSV file that names its columns. One that cannot be read sends nothing."""
        with open(path, encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            names = {name.strip().lower(): name for name in rows.fieldnames or []}
            missing = [column for column in COLUMNS if column not in names]
            if missing:
                raise errors.TernError(f"{path} has no column `{missing[0]}`, only {', '.join(names) or 'nothing'}")
            labels = [_label({column: row[names[column]] for column in COLUMNS}, f"line {rows.line_num}") for row in rows]
        return self.send(labels, dry_run=dry_run)

    def say(self, device: str, prediction: str, truth: str | int | float) -> None:
        """One truth, which has to be taken."""
        became = self.send([(device, prediction, truth)])
        if became.refused:
            raise errors.TernError(became.refused[0].reason)


def _read(labels: Iterable[Given] | pd.DataFrame) -> Iterator[Label]:
    columns = getattr(labels, "columns", None)
    if columns is not None:
        frame = cast("pd.DataFrame", labels)
        missing = [column for column in COLUMNS if column not in columns]
        if missing:
            raise errors.TernError(f"the table has no column `{missing[0]}`")
        labels = cast("Iterable[Given]", frame[[*COLUMNS]].itertuples(index=False, name=None))
    for at, one in enumerate(cast("Iterable[Given]", labels)):
        yield _label(one, f"label {at}")


def _label(one: Given, where: str) -> Label:
    if isinstance(one, Mapping):
        missing = [column for column in COLUMNS if column not in one]
        if missing:
            raise errors.TernError(f"{where} has no `{missing[0]}`")
        parts = [one[column] for column in COLUMNS]
    else:
        parts = [*one]
    if len(parts) != len(COLUMNS):
        raise errors.TernError(f"{where} has {len(parts)} parts: a label is a device, a prediction and a truth")
    # What pandas makes of an empty cell is no number, and no truth.
    texts = ["" if part is None or part != part else _text(part) for part in parts]
    for column, text in zip(COLUMNS, texts):
        if not text:
            raise errors.TernError(f"{where} has nothing in `{column}`")
    return Label(*texts)


def _text(part: object) -> str:
    # A class `7` that went through a table of floats is still the class `7`.
    if isinstance(part, float) and part.is_integer():
        return str(int(part))
    return str(part).strip()


def _batches(labels: Iterator[Label]) -> Iterator[list[Label]]:
    batch: list[Label] = []
    for label in labels:
        batch.append(label)
        if len(batch) == AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch
