"""The example notebook, run as a person runs it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import MODEL, until

import tern

NOTEBOOK = Path(__file__).parent.parent / "examples" / "field_to_model.ipynb"

CAPTURES = 60
"""Digits that the device sees and somebody labels."""


def cells() -> list[dict[str, Any]]:
    return list(json.loads(NOTEBOOK.read_text("utf-8"))["cells"])


def test_no_outputs_are_in_the_tree() -> None:
    for cell in cells():
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [] and cell["execution_count"] is None, cell["id"]


def test_it_goes_from_captures_to_a_rollout(
        hub: tern.Hub, serving: tern.Published, infer: Callable[[list[float]], str], tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch) -> None:
    # The kernel is another process, and has to find the same package.
    monkeypatch.setenv("PYTHONPATH", str(Path(tern.__file__).parents[1]))
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    digits = pytest.importorskip("sklearn.datasets").load_digits()
    told = [(infer(digits.data[at].tolist()), int(digits.target[at])) for at in range(CAPTURES)]

    def there() -> bool:
        at_the_hub = {one.prediction for one in hub.captures.query(MODEL)}
        return all(prediction in at_the_hub for prediction, _ in told)

    until("all captures", there)
    became = hub.labels.send([("meter-01", prediction, truth) for prediction, truth in told])
    assert became.added == CAPTURES and not became.refused

    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()

    experiment = next(one for one in hub.api.list_experiments() if one["name"] == "field-to-model")
    runs = hub.api.list_runs(str(experiment["id"])).all()
    assert len(runs) == 2 and all(run["status"] == "FINISHED" for run in runs)
    versions = hub.api.show_model(MODEL)["versions"]
    assert [one["version"] for one in versions if one["version"] > serving.version["version"]]
    newest = max(hub.rollouts.list(), key=lambda one: one["id"])
    begun = hub.rollouts.get(newest["id"])
    assert begun.view.get("plan") is not None and begun.view["version"] > serving.version["version"]
    begun.stop()
