"""Packages and datasets as files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

import tern
from tern import dataset, package
from tern._cbor import F32, encode


def test_cbor_is_that_of_the_standard() -> None:
    # Appendix A of RFC 8949, but for floats, which are always of 32 bits here.
    for value, expected in [(0, "00"), (23, "17"), (24, "1818"), (1000, "1903e8"), (1_000_000, "1a000f4240"),
                            (1_000_000_000_000, "1b000000e8d4a51000"), (-1, "20"), (-1000, "3903e7"), (False, "f4"),
                            (None, "f6"), (b"\1\2\3\4", "4401020304"), ("ü", "62c3bc"), ([1, [2, 3]], "8201820203"),
                            ({1: 2, 3: 4}, "a201020304"), (F32(100_000.0), "fa47c35000")]:
        assert encode(value).hex() == expected, value
    for odd in (1.5, {1.5: 2}, object()):
        with pytest.raises(TypeError):
            encode(odd)
    with pytest.raises(OverflowError):
        encode(1 << 64)


def test_a_package_of_arrays_is_published(hub: tern.Hub, digits: Path, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    rng = np.random.default_rng(3)
    images = rng.integers(0, 17, (400, 64)).astype(np.float32)
    session = onnxruntime.InferenceSession(str(digits / "model.onnx"))
    answers = session.run(None, {"image": images})[0]
    classes = [str(digit) for digit in range(10)]
    truths = [classes[at] for at in answers.argmax(axis=1)]
    profile = package.reference(images, truths, classes=classes, answers=answers, right=truths,
                                image=package.Image(8, 8))
    made = package.write(tmp_path / "model", digits / "model.onnx", inputs={"image": images},
                         outputs={"probabilities": answers}, classes=classes, reference=profile, note="arrays",
                         validation_accuracy=1.0)
    published = hub.models.publish("arrays", made)
    assert published.version["vetting"]["golden_samples"] == package.GOLDEN
    assert published.version["classes"] == classes
    sizes = [(made / name).stat().st_size for name in ("model.onnx", "golden.cbor", "reference.cbor")]
    assert published.version["total_bytes"] > sum(sizes), "the profile is part of what devices fetch"
    assert published.version["inputs"] == [{"name": "image", "dtype": "f32", "shape": [-1, 64]}]

    # What the model does not answer is no golden sample.
    lie = package.write(tmp_path / "lie", digits / "model.onnx", inputs={"image": images},
                        outputs={"probabilities": answers[:, ::-1]}, classes=classes)
    with pytest.raises(tern.errors.Refused, match="golden"):
        hub.models.publish("arrays", lie)


def test_what_no_package_can_be_made_of_is_refused(tmp_path: Path) -> None:
    rows = np.zeros((2, 3), np.float32)
    good: dict[str, Any] = {"inputs": {"x": rows}, "outputs": {"p": rows}, "classes": ["a", "b", "c"]}
    assert json.loads((package.write(tmp_path, b"m", **good) / "publish.json").read_text())["golden"] == "golden.cbor"
    changes: list[tuple[dict[str, Any], str]] = [({"inputs": {}}, "inputs"), ({"inputs": {"x": rows[:0]}}, "number of rows"),
                         ({"outputs": {"p": rows[:1]}}, "number of rows"), ({"classes": ["a"]}, "1 classes"),
                         ({"inputs": {"x": np.zeros((2, 3), np.float16)}}, "float16")]
    for change, said in changes:
        with pytest.raises(tern.errors.BadPackage, match=said):
            package.write(tmp_path, b"m", **{**good, **change})
    assert (tmp_path / "publish.json").exists(), "what is refused leaves what was there"
    with pytest.raises(tern.errors.BadPackage, match="`z`"):
        package.reference(rows, ["a", "z"], classes=["a", "b"], answers=rows[:, :2], right=["a", "b"])
    with pytest.raises(tern.errors.BadPackage, match="not as many"):
        package.reference(rows, ["a", "a"], classes=["a"], answers=rows[:, :1], right=["a", "a"],
                          image=package.Image(8, 8))


MANIFEST: dict[str, Any] = {
    "name": "digits", "number": 3, "id": 5, "input": {"kind": "tensor", "name": "image", "dtype": "f32", "shape": [2, 2]},
    "label": {"kind": "classes", "classes": ["a", "b"]},
    "splits": {"train": {"rows": 2, "files": ["train.parquet"]}, "held-out": {"rows": 0, "files": []}},
}


def directory(path: Path, manifest: dict[str, Any], inputs: list[bytes]) -> Path:
    rows = len(inputs)
    table = pa.table({"id": [f"r{n}" for n in range(rows)], "device": [""] * rows, "site": [""] * rows,
                      "at": [0] * rows, "source": [dataset.BASE] * rows, "weight": [1.0] * rows, "label": ["a", "b"][:rows],
                      "input": inputs})
    parquet.write_table(table, path / "train.parquet")
    (path / "dataset.json").write_text(json.dumps(manifest), "utf-8")
    return path


def test_a_dataset_is_read_as_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.arange(8, dtype="<f4").reshape(2, 2, 2)
    directory(tmp_path, MANIFEST, [one.tobytes() for one in values])
    monkeypatch.setenv("TERN_DATASET", str(tmp_path))
    read = dataset.load()
    train = read.split("train")
    assert (read.name, read.classes, len(train)) == ("digits@3", ["a", "b"], 2)
    assert (train.x == values).all() and train.y.tolist() == ["a", "b"] and train.source == ["base", "base"]
    assert len(read.split("held-out")) == 0 and len(read.split("kept-out")) == 0
    assert read.split("held-out").x.shape == (0, 2, 2)
    assert train.digest == read.split("train").digest != read.split("held-out").digest


def test_a_damaged_dataset_is_no_shorter_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TERN_DATASET", raising=False)
    row = np.zeros(4, "<f4").tobytes()
    for inputs, said in [([row], "1 rows, not the 2"), ([row, row[:-4]], "r1")]:
        with pytest.raises(tern.errors.BadDataset, match=said):
            dataset.load(directory(tmp_path, MANIFEST, inputs)).split("train")
    outside = {**MANIFEST, "splits": {"train": {"rows": 2, "files": ["../train.parquet"]}}}
    with pytest.raises(tern.errors.BadDataset, match="not in it"):
        dataset.load(directory(tmp_path, outside, [row, row])).split("train")
    (tmp_path / "train.parquet").write_bytes(b"PAR1")
    (tmp_path / "dataset.json").write_text(json.dumps(MANIFEST), "utf-8")
    with pytest.raises(tern.errors.BadDataset, match="cannot be read"):
        dataset.load(tmp_path).split("train")
    with pytest.raises(tern.errors.BadDataset, match="no split"):
        dataset.load(tmp_path).split("test")
    for text, said in [("{", "no manifest"), ("[]", "it has no"), ("{}", "input, label")]:
        (tmp_path / "dataset.json").write_text(text, "utf-8")
        with pytest.raises(tern.errors.BadDataset, match=said):
            dataset.load(tmp_path)
    for place, said in [(None, "TERN_DATASET"), (tmp_path / "nowhere", "cannot be read")]:
        with pytest.raises(tern.errors.BadDataset, match=said):
            dataset.load(place)
