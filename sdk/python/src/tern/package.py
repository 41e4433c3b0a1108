"""Packages: directories that `models.publish` and `tern model publish` take.

Called by whoever trains. Needs NumPy, and nothing of the framework: what it computed is handed over as arrays.

Must never break: `publish.json` is written last and at once, so a directory that has one is whole.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _signals
from ._cbor import F32, encode
from ._signals import Image
from .errors import BadPackage

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from .api import types as t

__all__ = ["Image", "reference", "write"]

GOLDEN = 30
"""Golden samples at most: enough to show each class, few enough to ship with every version."""

TOLERANCE = 1e-4
"""Largest difference from a golden output: engines add up in different orders."""

FEATURES = 1024
"""Elements of an input up to which each has a histogram. Of larger ones, images and sounds, single elements say little."""

BINS = 10
"""Bins of a histogram, of about as many samples each."""

CONFIDENCE_BINS = 20
"""Bins of a histogram of confidence, of equal width over 0 to 1."""

_DTYPES = {"float32": (0, "f32"), "float64": (1, "f64"), "int32": (2, "i32"), "int64": (3, "i64"), "uint8": (4, "u8")}
"""Element types: their number in CBOR and their name in JSON."""


def write(
    directory: str | os.PathLike[str],
    onnx: bytes | str | os.PathLike[str] | Any,
    *,
    inputs: Mapping[str, ArrayLike],
    outputs: Mapping[str, ArrayLike],
    classes: Sequence[str] = (),
    reference: bytes | None = None,
    note: str = "",
    validation_accuracy: float | None = None,
    tolerance: float = TOLERANCE,
    pre: Sequence[t.NewInputSteps] = (),
    post: Sequence[t.NewOutputSteps] = (),
    metrics: Sequence[t.MetricSpec] = (),
    min_agent: str | None = None,
) -> Path:
    """Writes a package; the directory is made if it is not there.

    - onnx: the model: its bytes, its file, or the `ModelProto`.
    - inputs, outputs: some rows of data by the names of the graph, in the graph's order, with what the model answered
      in the framework that trained it. At most 30 of them become golden samples, which the hub and every device run
      before the model serves; names, element types and shapes are those of the arrays.
    - classes: of a classifier, in the order of the first output, which is the probability of each.
    - reference: what the model was trained on, as `reference()` makes it; drift is watched by it.
    """
    given = {name: np.ascontiguousarray(rows) for name, rows in inputs.items()}
    seen = {name: np.ascontiguousarray(rows) for name, rows in outputs.items()}
    rows = {len(array) if array.ndim else 0 for array in [*given.values(), *seen.values()]}
    if not given or not seen or len(rows) != 1 or 0 in rows:
        raise BadPackage("a package takes a model's inputs and its outputs, with the same number of rows, one at least")
    if classes and next(iter(seen.values())).shape[1:] != (len(classes),) and not post:
        raise BadPackage(f"the first output is {next(iter(seen.values())).shape[1:]} for each row, and there are "
                         f"{len(classes)} classes: it has to be the probability of each")
    for name, array in [*given.items(), *seen.items()]:
        if array.dtype.name not in _DTYPES:
            raise BadPackage(f"`{name}` is of {array.dtype}; a model takes and gives {', '.join(_DTYPES)}")
    samples = [{0: [_tensor(array[at]) for array in given.values()], 1: [_tensor(array[at]) for array in seen.values()]}
               for at in range(min(rows.pop(), GOLDEN))]
    files = {"onnx": ("model.onnx", _model(onnx)), "golden": ("golden.cbor", encode({0: F32(tolerance), 1: samples}))}
    if reference is not None:
        files["reference"] = ("reference.cbor", reference)
    described: dict[str, Any] = {part: name for part, (name, _) in files.items()}
    described |= {"inputs": _specs(given), "outputs": _specs(seen), "note": note}
    for key, value in (("classes", list(classes)), ("pre", list(pre)), ("post", list(post)), ("metrics", list(metrics)),
                       ("min_agent", min_agent), ("validation_accuracy", validation_accuracy)):
        if value not in (None, []):
            described[key] = value
    text = json.dumps(described, indent=2) + "\n"

    to = Path(directory)
    to.mkdir(parents=True, exist_ok=True)
    # An older package in the same place must not lend its description to new files.
    (to / "publish.json").unlink(missing_ok=True)
    for name, content in files.values():
        (to / name).write_bytes(content)
    (to / "publish.json.new").write_text(text, "utf-8")
    (to / "publish.json.new").replace(to / "publish.json")
    return to


def reference(
    rows: ArrayLike,
    truths: ArrayLike,
    *,
    classes: Sequence[str] = (),
    answers: ArrayLike,
    right: ArrayLike,
    names: Sequence[str] | None = None,
    image: Image | None = None,
    series: bool = False,
) -> bytes:
    """The reference profile: the distribution that a model was trained on, as devices count it.

    - rows, truths: the training part. Inputs as requests carry them, that is before steps.
    - classes: the names of a classifier's classes, of which `truths` and `right` are some; none if it answers numbers.
    - answers, right: what the model said on a part that it was not trained on (for each row the probability of each
      class, or a number), and what was true there.
    - names: of the elements of an input; by default `0`, `1` ….
    - image: how an image lies in an input; `series`: whether it is a sound or another series. Both are measured as a
      whole then, too.
    """
    inputs = np.asarray(rows, dtype=np.float32).reshape(len(np.asarray(rows)), -1)
    if not len(inputs):
        raise BadPackage("there is nothing to make a reference profile of")
    if image is not None and image.height * image.width * image.channels != inputs.shape[1]:
        raise BadPackage(f"an input has {inputs.shape[1]} elements, and {image} has not as many")
    place = {name: at for at, name in enumerate(classes)}
    of = _places(truths, place) if place else None
    features = []
    if inputs.shape[1] <= FEATURES:
        told = names or [str(at) for at in range(inputs.shape[1])]
        features = [_histogram(name, inputs[:, at], of, len(place)) for at, name in enumerate(told)]
    signals = []
    if image is not None or series or inputs.shape[1] > FEATURES:
        found = _signals.measured(inputs.astype(np.float64), image, series)
        signals = [_histogram(name, values.astype(np.float32), of, len(place)) for name, values in found.items()]

    counts = np.bincount(of, minlength=len(place)).tolist() if of is not None else []
    profile: dict[int, Any] = {0: [one for one in features if one], 1: counts, 2: [], 3: []}
    said = np.asarray(answers, dtype=np.float32)
    if place:
        true = _places(right, place)
        sorted_ = np.sort(said, axis=1)
        confidence = sorted_[:, -1]
        is_right = said.argmax(axis=1) == true
        profile[2], profile[3] = _confidence(confidence), _confidence(confidence[is_right])
        profile[6] = _confidence(confidence - (sorted_[:, -2] if said.shape[1] > 1 else 0))
    else:
        profile[7] = _histogram("value", said.reshape(len(said), -1)[:, 0], None, 0)
    if signals := [one for one in signals if one]:
        profile[4] = signals
    if image is not None:
        profile[5] = {0: image.height, 1: image.width, 2: image.channels, 3: 0 if image.channels_last else 1}
    return encode({key: value for key, value in sorted(profile.items()) if value is not None})


def _model(onnx: Any) -> bytes:
    if isinstance(onnx, bytes):
        return onnx
    if isinstance(onnx, (str, os.PathLike)):
        return Path(onnx).read_bytes()
    return bytes(onnx.SerializeToString())


def _tensor(row: NDArray[Any]) -> dict[int, Any]:
    one = row[np.newaxis]
    return {0: _DTYPES[one.dtype.name][0], 1: list(one.shape), 2: one.astype(one.dtype.newbyteorder("<")).tobytes()}


def _specs(arrays: Mapping[str, NDArray[Any]]) -> list[dict[str, Any]]:
    return [{"name": name, "dtype": _DTYPES[array.dtype.name][1], "shape": [-1, *array.shape[1:]]}
            for name, array in arrays.items()]


def _places(truths: ArrayLike, place: Mapping[str, int]) -> NDArray[np.intp]:
    names = [str(one) for one in np.asarray(truths).tolist()]
    strange = sorted({name for name in names if name not in place})
    if strange:
        raise BadPackage(f"`{strange[0]}` is none of the classes {', '.join(place)}")
    return np.asarray([place[name] for name in names], dtype=np.intp)


def _edges(values: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """Edges of bins that hold about as many values each; nothing without a number."""
    finite = np.sort(values[np.isfinite(values)])
    if not len(finite):
        return None
    edges = np.unique(finite[np.arange(BINS + 1) * (len(finite) - 1) // BINS])
    if len(edges) == 1:
        # All the same: anything that lies beside is news.
        around = np.float32(max(abs(float(edges[0])) * 1e-3, 1e-6))
        edges = np.asarray([edges[0] - around, edges[0] + around], dtype=np.float32)
    return edges


def _histogram(name: str, values: NDArray[np.float32], of: NDArray[np.intp] | None, classes: int) -> dict[int, Any] | None:
    edges = _edges(values)
    if edges is None or not np.all(np.diff(edges) > 0):
        return None
    histogram: dict[int, Any] = {0: name, 1: [F32(float(edge)) for edge in edges], 2: _count(values, edges),
                                 3: int(np.isnan(values).sum())}
    if of is not None:
        histogram[4] = [_count(values[of == at], edges) for at in range(classes)]
    return histogram


def _count(values: NDArray[np.float32], edges: NDArray[np.float32]) -> list[int]:
    inside = values[(values >= edges[0]) & (values <= edges[-1])]
    # The last bin is closed.
    bins = np.minimum(np.searchsorted(edges, inside, side="right") - 1, len(edges) - 2)
    return [int(count) for count in np.bincount(bins, minlength=len(edges) - 1)]


def _confidence(values: NDArray[np.float32]) -> list[int]:
    bins = np.clip((values * np.float32(CONFIDENCE_BINS)).astype(int), 0, CONFIDENCE_BINS - 1)
    return [int(count) for count in np.bincount(bins, minlength=CONFIDENCE_BINS)]
