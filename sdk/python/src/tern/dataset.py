"""A dataset version as a directory: what a job finds at `TERN_DATASET`, what `tern dataset get` writes.

Called by trainers. Needs NumPy and pyarrow.

Must never break: rows come in the order of their file; what a manifest promises and a file does not hold is an error,
not a shorter training.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .errors import BadDataset

if TYPE_CHECKING:
    from numpy.typing import NDArray

VARIABLE = "TERN_DATASET"
"""Where a job is told the directory."""

SPLITS = ("train", "held-out", "kept-out")
"""To train on; to measure on, the same for all versions of a name; what champion and challenger are compared on."""

BASE = "base"
"""The source of a row that is no capture."""

_DTYPES = {"f32": "<f4", "f64": "<f8", "i32": "<i4", "i64": "<i8", "u8": "u1"}


@dataclass(frozen=True)
class Split:
    """The rows of one split, column by column."""

    ids: list[str]
    device: list[str]
    site: list[str]
    source: list[str]
    """`base`, or who said what was true."""
    weight: NDArray[np.float64]
    """For how many inputs a row stands."""
    x: Any
    """The inputs: an array of the manifest's shape for each row, or of a table a dict of columns."""
    y: NDArray[Any]
    """What is true: the names of classes, or numbers."""
    digest: str
    """Of ids, truths and inputs, in their order: two that read the same rows have the same."""

    def __len__(self) -> int:
        return len(self.ids)


class Column(NamedTuple):
    """A feature of a table."""

    name: str
    type: str
    """`number` or `category`."""


@dataclass(frozen=True)
class Dataset:
    """One immutable version of a dataset."""

    path: Path
    manifest: dict[str, Any]

    def __repr__(self) -> str:
        return f"Dataset({self.name})"

    @property
    def name(self) -> str:
        """As `digits@3`."""
        return f"{self.manifest['name']}@{self.manifest['number']}"

    @property
    def classes(self) -> list[str]:
        """The names of the classes; none of a dataset of numbers."""
        return list(self.manifest["label"].get("classes", []))

    @property
    def columns(self) -> list[Column]:
        """The features of a table; none of tensors."""
        return [Column(one["name"], one["type"]) for one in self.manifest["input"].get("columns", [])]

    def split(self, name: str) -> Split:
        """The rows of `train`, `held-out` or `kept-out`; none if it has none."""
        if name not in SPLITS:
            raise BadDataset(f"`{name}` is no split: {', '.join(SPLITS)}")
        told = self.manifest["splits"].get(name, {"rows": 0, "files": []})
        tables = [self._table(file) for file in told["files"]]
        rows = [row for table in tables for row in table]
        if len(rows) != told["rows"]:
            raise BadDataset(f"{self.path}: the split {name} has {len(rows)} rows, not the {told['rows']} of the manifest")
        numbers = self.manifest["label"]["kind"] == "number"
        digest = hashlib.sha256()
        for row in rows:
            truth = np.asarray(row["label"], "<f8").tobytes() if numbers else row["label"].encode("utf-8")
            for part in (row["id"].encode("utf-8"), truth, self._bytes(row)):
                digest.update(len(part).to_bytes(8, "little") + part)
        return Split(
            ids=[row["id"] for row in rows],
            device=[row["device"] for row in rows],
            site=[row["site"] for row in rows],
            source=[row["source"] for row in rows],
            weight=np.asarray([row["weight"] for row in rows], np.float64),
            x=self._inputs(rows),
            y=np.asarray([row["label"] for row in rows], np.float64 if numbers else np.str_),
            digest=digest.hexdigest(),
        )

    def _table(self, file: str) -> list[dict[str, Any]]:
        import pyarrow.parquet as parquet

        if Path(file).is_absolute() or ".." in Path(file).parts:
            raise BadDataset(f"{self.path}: the manifest names {file}, which is not in it")
        try:
            return list(parquet.read_table(self.path / file).to_pylist())
        except (OSError, ValueError) as err:
            raise BadDataset(f"{self.path / file} cannot be read: {err}") from None

    def _bytes(self, row: dict[str, Any]) -> bytes:
        if not self.columns:
            return bytes(row["input"])
        parts = [np.asarray(row[name], "<f8").tobytes() if kind == "number" else str(row[name]).encode("utf-8")
                 for name, kind in self.columns]
        return b"\0".join(parts)

    def _inputs(self, rows: list[dict[str, Any]]) -> Any:
        if self.columns:
            return {name: np.asarray([row[name] for row in rows], np.float64 if kind == "number" else np.str_)
                    for name, kind in self.columns}
        told = self.manifest["input"]
        dtype = np.dtype(_DTYPES[told["dtype"]])
        size = dtype.itemsize * int(np.prod(told["shape"], dtype=np.int64))
        wrong = next((row["id"] for row in rows if len(row["input"]) != size), None)
        if wrong is not None:
            raise BadDataset(f"{self.path}: the input of {wrong} is not of {told['dtype']} {told['shape']}")
        flat = np.frombuffer(b"".join(row["input"] for row in rows), dtype)
        return flat.reshape([len(rows), *told["shape"]]).astype(dtype.newbyteorder("="))


def load(path: str | os.PathLike[str] | None = None) -> Dataset:
    """The dataset in a directory; by default the one that a job was given (`TERN_DATASET`)."""
    place = path or os.environ.get(VARIABLE)
    if not place:
        raise BadDataset(f"say where the dataset is: a directory, or {VARIABLE}")
    file = Path(place) / "dataset.json"
    try:
        manifest = json.loads(file.read_text("utf-8"))
    except OSError as err:
        raise BadDataset(f"{file} cannot be read ({err.strerror}); a dataset is a directory with a dataset.json") from None
    except ValueError as err:
        raise BadDataset(f"{file} is no manifest: {err}") from None
    missing = {"name", "number", "input", "label", "splits"} - (manifest.keys() if isinstance(manifest, dict) else set())
    if missing:
        raise BadDataset(f"{file} is no manifest: it has no {', '.join(sorted(missing))}")
    return Dataset(Path(place), manifest)
