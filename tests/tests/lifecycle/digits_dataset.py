"""Writes a dataset version of digits as a job finds it: what `tern dataset get` writes, made of CSV.

Run by `trainers.rs`: OUT TRAIN.csv HELD_OUT.csv CAPTURED.csv, each as `tern-models dataset` writes them.
"""

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet

PIXELS = 64


def rows(path: str, name: str, source: str, weight: float) -> list[dict[str, object]]:
    with open(path, newline="") as file:
        read = list(csv.DictReader(file))
    return [
        {
            "id": f"{name}-{at}" if source == "base" else f"meter-01/{at}-1",
            "device": "" if source == "base" else "meter-01",
            "site": "" if source == "base" else "harbour",
            "at": 1_700_000_000_000 + at,
            "source": source,
            "weight": weight,
            "label": row["truth"],
            "input": np.asarray([row[f"v{pixel}"] for pixel in range(PIXELS)], "<f4").tobytes(),
        }
        for at, row in enumerate(read)
    ]


def main(out: str, train: str, held_out: str, captured: str) -> None:
    to = Path(out)
    to.mkdir()
    splits = {
        "train": rows(train, "train", "base", 1.0) + rows(captured, "capture", "person:ada", 4.0),
        "held-out": rows(held_out, "held-out", "base", 1.0),
    }
    schema = pa.schema([("id", pa.string()), ("device", pa.string()), ("site", pa.string()), ("at", pa.int64()),
                        ("source", pa.string()), ("weight", pa.float64()), ("label", pa.string()), ("input", pa.binary())])
    for name, of in splits.items():
        parquet.write_table(pa.Table.from_pylist(of, schema), to / f"{name}.parquet", compression="snappy")
    manifest = {
        "name": "digits", "number": 3, "id": 3, "model": "digit-reader", "parents": [], "statistics": {},
        "input": {"kind": "tensor", "name": "image", "dtype": "f32", "shape": [PIXELS]},
        "label": {"kind": "classes", "classes": [str(digit) for digit in range(10)]},
        "splits": {name: {"rows": len(of), "files": [f"{name}.parquet"]} for name, of in splits.items()}
        | {"kept-out": {"rows": 0, "files": []}},
    }
    (to / "dataset.json").write_text(json.dumps(manifest))


main(*sys.argv[1:])
