"""A dataset version is made of a file, written out, and read as a job reads it."""

from __future__ import annotations

import csv
import hashlib
import io
from pathlib import Path

import numpy as np
import pytest

import tern

PIXELS = 64


def table(rows: int) -> bytes:
    """Rows of 64 numbers with a class each, no two alike."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([*(f"v{pixel}" for pixel in range(PIXELS)), "truth"])
    for row in range(rows):
        writer.writerow([*((7 * row + 3 * pixel + row // 17) % 17 for pixel in range(PIXELS)), f"c{row % 3}"])
    return text.getvalue().encode()


def test_a_version_is_made_and_written_out_as_a_job_finds_it(hub: tern.Hub, tmp_path: Path) -> None:
    content = table(200)
    digest = hashlib.sha256(content).hexdigest()
    hub.api.put_blob(digest, content)
    order: tern.types.DatasetOrder = {"import": {
        "files": [{"from": {"blob": digest}}], "label": "truth", "held_out": "20%",
        "tensor": {"name": "image", "dtype": "f32", "shape": [PIXELS]}}}
    made = hub.datasets.make("shapes", order, key="first", timeout=60)
    assert made["number"] == 1 and hub.datasets.make("shapes", order, key="first")["id"] == made["id"]
    assert [one["name"] for one in hub.datasets.list()] == ["shapes"]

    data = tern.dataset.load(hub.datasets.check_out("shapes@1", tmp_path / "shapes"))
    train, held_out = data.split("train"), data.split("held-out")
    assert data.name == "shapes@1" and data.classes == ["c0", "c1", "c2"]
    assert len(train) + len(held_out) == 200 and len(held_out) > 0
    assert train.x.shape == (len(train), PIXELS) and train.x.dtype == np.float32
    assert set(train.source) == {"base"} and not set(train.ids) & set(held_out.ids)
    again = tern.dataset.load(hub.datasets.check_out(made["id"], tmp_path / "again"))
    assert again.split("train").digest == train.digest

    hub.api.put_blob(digest, content)
    with pytest.raises(tern.TernError, match="colour"):
        hub.datasets.make("shapes", {"import": {"files": [{"from": {"blob": digest}}], "label": "colour"}}, timeout=60)
    with pytest.raises(tern.errors.NotFound):
        hub.datasets.check_out("nobody@1", tmp_path / "nobody")
