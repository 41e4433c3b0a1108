"""From a package to labels: what people do with a hub and one device, in this order."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import MODEL, given, until

import tern
from tern import Capture, Label

IMAGES = [[float((7 * row + 3 * place) % 17) for place in range(64)] for row in range(12)]


@pytest.fixture(scope="module")
def captured(hub: tern.Hub, serving: tern.Published, infer: Callable[[list[float]], str]) -> list[Capture]:
    told = [infer(image) for image in IMAGES]
    found: list[Capture] = until(
        "all captures", lambda: all_ if len(all_ := list(hub.captures.query(MODEL))) >= len(told) else None)
    assert {one.prediction for one in found} >= set(told)
    return found


def test_a_package_is_published_once_and_says_what_vetting_measured(
        hub: tern.Hub, serving: tern.Published, digits: Path) -> None:
    assert serving.new and serving.name == f"{MODEL}@1"
    assert serving.version["note"] == "by the SDK"
    assert serving.version["vetting"]["golden_samples"] > 0
    heard: list[tuple[str, int]] = []
    again = hub.models.publish(MODEL, digits, note="by the SDK", told=lambda file, sent: heard.append((file, sent)))
    assert not again.new and again.version["version"] == 1
    assert heard == [("model.onnx", 0), ("golden.cbor", 0), ("reference.cbor", 0)], "the hub has them already"
    assert hub.models.version(f"{MODEL}@latest")["bundle"] == serving.version["bundle"]
    assert [model["name"] for model in hub.models.list()] == [MODEL]
    with hub.api.get_blob(serving.version["onnx"]["digest"]) as blob:
        assert blob.length == (digits / "model.onnx").stat().st_size
        assert blob.read() == (digits / "model.onnx").read_bytes()


def test_a_refused_model_says_what_is_wrong_with_it(hub: tern.Hub, digits: Path, tmp_path: Path) -> None:
    for name in ("golden.cbor", "publish.json", "reference.cbor"):
        (tmp_path / name).write_bytes((digits / name).read_bytes())
    (tmp_path / "model.onnx").write_bytes(b"no model at all")
    with pytest.raises(tern.errors.Refused) as refused:
        hub.models.publish("nonsense", tmp_path)
    assert refused.value.findings and refused.value.findings[0]["check"] == "parse"
    assert refused.value.findings[0]["remedy"] in str(refused.value)
    (tmp_path / "model.onnx").unlink()
    with pytest.raises(tern.errors.BadPackage, match=r"model\.onnx"):
        hub.models.publish("nonsense", tmp_path)
    with pytest.raises(tern.errors.BadPackage, match="publish.json"):
        hub.models.publish("nonsense", tmp_path / "nowhere")


def test_captures_are_arrays_and_tables(hub: tern.Hub, captured: list[Capture]) -> None:
    one = captured[0]
    assert one.device == "meter-01" and one.truth is None and one.weight == 1.0
    assert one.numpy().shape == (1, 64) and one.numpy().dtype == np.float32
    assert abs(one.at.timestamp() - time.time()) < 3600
    inputs = {tuple(np.round(capture.numpy()[0], 3)) for capture in captured}
    assert tuple(IMAGES[0]) in inputs
    frame = hub.captures.frame(MODEL, most=5)
    assert len(frame) == 5 and isinstance(frame["input"].iloc[0], np.ndarray)
    # Several pages are one list, and each capture is in it once.
    pages = list(hub.api.list_captures(model=MODEL, limit=5))
    assert [one["prediction"] for one in pages] == [one.prediction for one in captured]
    assert hub.captures.kept(MODEL)["all"]["captures"] == len(captured)
    assert hub.captures.frame("nobody").empty


def test_labels_are_sent_from_tuples_tables_and_files(hub: tern.Hub, captured: list[Capture], tmp_path: Path) -> None:
    labels = [(one.device, one.prediction, at % 10) for at, one in enumerate(captured)]
    dry = hub.labels.send(labels, dry_run=True)
    assert dry.added == len(labels) and not list(hub.captures.query(MODEL, labelled=True))
    frame = pd.DataFrame(labels[:8], columns=["device", "prediction", "truth"])
    # Classes that went through a column of floats are still classes.
    frame["truth"] = frame["truth"].astype(float)
    frame["more"] = 1
    assert hub.labels.send(frame).added == 8
    path = tmp_path / "labels.csv"
    rows = "".join(f"{truth},{device},{prediction}\n" for device, prediction, truth in labels)
    path.write_text(f"Truth,device,prediction\n{rows}7,meter-99,1-1\n", "utf-8")
    became = hub.labels.send_csv(path)
    assert (became.added, became.unchanged, became.changed) == (len(labels) - 8, 8, 0)
    assert [one.label for one in became.refused] == [Label("meter-99", "1-1", "7")]
    assert became.refused[0].reason
    with pytest.raises(tern.TernError, match="meter-99"):
        hub.labels.say("meter-99", "1-1", 7)
    inputs, truths = hub.captures.arrays(MODEL)
    assert inputs.shape == (len(labels), 64) and sorted(set(truths)) == [str(n) for n in range(10)]
    for bad, said in [(pd.DataFrame({"device": []}), "prediction"), ([("a", "b")], "2 parts"),
                      ([("meter-01", "1-1", float("nan"))], "truth"), ([{"device": "a", "truth": 1}], "prediction")]:
        with pytest.raises(tern.TernError, match=said):
            hub.labels.send(bad)


def test_rollouts_are_started_waited_for_and_stopped(hub: tern.Hub, serving: tern.Published) -> None:
    first = hub.rollouts.get(1)
    assert first.state == "complete" and first.wait(timeout=5)["counts"]["serving"] == 1
    with pytest.raises(tern.TernError, match="no-number"):
        hub.rollouts.start(f"{MODEL}@no-number")
    with pytest.raises(tern.errors.NotFound):
        hub.rollouts.start("nobody@1")
    # Nobody is at that site: it waits for devices, and is stopped.
    started = hub.rollouts.start(f"{MODEL}@latest", sites=["nowhere"], percent=50)
    started.pause()
    assert started.state == "paused"
    with pytest.raises(tern.errors.TimeUp):
        started.wait(timeout=0.2)
    started.resume()
    assert started.widen(100)["percent"] == 100
    assert started.stop()["state"] == "aborted"
    with pytest.raises(tern.NotComplete, match="aborted") as ended:
        started.wait()
    assert not ended.value.waits
    with pytest.raises(tern.errors.Conflict):
        started.approve()
    assert {one["id"] for one in hub.rollouts.list()} >= {first.id, started.id}


def test_plans_are_checked_kept_and_started(hub: tern.Hub, serving: tern.Published, tmp_path: Path) -> None:
    plan: tern.types.Plan = {"slot": MODEL, "model": MODEL, "selector": {"sites": ["nowhere"]},
                             "stages": [{"to": "100%", "approval": True}], "gates": [{"errors": {"limit": "5%"}}]}
    versioned: tern.types.Plan = {**plan, "version": 1}
    assert hub.rollouts.check(versioned)
    with pytest.raises(tern.TernError, match="which version"):
        hub.rollouts.start_plan(plan)
    hub.api.save_template(MODEL, "slow", plan)
    started = hub.rollouts.start_template("slow", f"{MODEL}@latest")
    assert started.view["version"] == 1 and started.refresh().get("plan") is not None
    started.stop(moved="stay")
    with pytest.raises(tern.TernError, match="fast"):
        hub.rollouts.start_template("fast", f"{MODEL}@1")
    with pytest.raises(tern.TernError, match="other"):
        hub.rollouts.start_plan({**plan, "model": "other"}, target=f"{MODEL}@1")
    hub.api.remove_template(MODEL, "slow")


def test_what_one_may_not_do_is_said_in_the_hubs_words(hub: tern.Hub, serving: tern.Published) -> None:
    viewer = tern.connect(token=given("TERN_TEST_VIEWER"))
    assert viewer.me()["memberships"]
    with pytest.raises(tern.errors.Forbidden) as forbidden:
        viewer.rollouts.start(serving.name)
    assert forbidden.value.status == 403 and forbidden.value.problem["detail"] in str(forbidden.value)
    stranger = tern.connect(token="tern_pat_planted")
    with pytest.raises(tern.errors.LogIn) as unknown:
        stranger.me()
    assert "planted" not in f"{unknown.value!s}{stranger!r}{stranger.api!r}"
    with pytest.raises(tern.errors.NotFound):
        hub.api.show_model("nobody")
    # What would lead elsewhere on the way there is a name that nobody has.
    with pytest.raises(tern.errors.Problem):
        hub.api.show_model("../devices?x=1#")
    with pytest.raises(ValueError):
        hub.api.show_model("..")


def test_a_hub_gives_the_package_that_fits_it(hub: tern.Hub, tmp_path: Path) -> None:
    name = f"tern_sdk-{tern.__version__}-py3-none-any.whl"
    with hub.api.python_package(name) as wheel:
        wheel.save(tmp_path / name)
    install = [sys.executable, "-m", "pip", "install", "--no-index", "--no-deps", "--quiet", "--target",
               str(tmp_path / "there"), str(tmp_path / name)]
    subprocess.run(install, check=True, env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"})
    ours = Path(tern.__file__).parent
    files = {path.relative_to(ours) for path in ours.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    for file in files:
        assert (tmp_path / "there" / "tern" / file).read_bytes() == (ours / file).read_bytes(), file
    with pytest.raises(tern.errors.NotFound, match=re.escape(name)):
        hub.api.python_package("tern_sdk-0.0.1-py3-none-any.whl")


def test_changes_are_heard_as_they_happen(hub: tern.Hub, serving: tern.Published) -> None:
    with hub.api.stream(timeout=20) as changes:
        started = hub.rollouts.start(serving.name, sites=["nowhere"])
        # Others may change meanwhile.
        next(change for change in changes if change["changed"] == "rollout" and change["id"] == started.id)
    started.stop()
