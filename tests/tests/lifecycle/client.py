"""What an unmodified MLflow client does with a hub: everything that it takes to train, compare and register.

Run by `tests/lifecycle/mlflow.rs` with MLFLOW_TRACKING_URI, a token and the hub's authority in the environment.
"""

import json
import math
import os
import sys
import tempfile
import warnings
from pathlib import Path

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
warnings.filterwarnings("ignore")

import mlflow
import numpy as np
from mlflow.entities import Metric, Param, RunTag, ViewType
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

client = MlflowClient()


def refused(code, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except MlflowException as err:
        codes = code if isinstance(code, tuple) else (code,)
        assert err.error_code in codes, f"{err.error_code}: {err}"
        return str(err)
    raise AssertionError(f"{call.__name__} was not refused")


def experiments():
    assert client.get_experiment("0").name == "Default"
    made = client.create_experiment("digits", tags={"team": "vision"})
    refused("RESOURCE_ALREADY_EXISTS", client.create_experiment, "digits")
    found = client.get_experiment_by_name("digits")
    assert found.experiment_id == made and found.tags == {"team": "vision"}
    assert client.get_experiment_by_name("nobody") is None
    client.set_experiment_tag(made, "stage", "try")
    client.delete_experiment_tag(made, "stage")
    refused("RESOURCE_DOES_NOT_EXIST", client.delete_experiment_tag, made, "stage")
    client.rename_experiment(made, "digits-2")
    names = [e.name for e in client.search_experiments(filter_string="name LIKE 'digits%'")]
    assert names == ["digits-2"], names
    by_tag = client.search_experiments(filter_string="tags.team = 'vision'", order_by=["name ASC"])
    assert [e.experiment_id for e in by_tag] == [made]
    refused("INVALID_PARAMETER_VALUE", client.search_experiments, filter_string="colour = 'x'")
    client.delete_experiment(made)
    assert client.get_experiment(made).lifecycle_stage == "deleted"
    refused("RESOURCE_ALREADY_EXISTS", client.create_experiment, "digits-2")
    deleted = client.search_experiments(view_type=ViewType.DELETED_ONLY)
    assert [e.experiment_id for e in deleted] == [made]
    client.restore_experiment(made)
    refused("RESOURCE_DOES_NOT_EXIST", client.get_experiment, "77")
    for number in range(5):
        client.create_experiment(f"page-{number}")
    seen, token = [], None
    while True:
        page = client.search_experiments(max_results=2, page_token=token)
        seen += [e.name for e in page]
        token = page.token
        if not token:
            break
    assert len(seen) == len(set(seen)) == 7, seen


def runs():
    experiment = client.create_experiment("runs")
    run = client.create_run(experiment, run_name="first", tags={"a": "b"})
    id = run.info.run_id
    assert run.info.run_name == "first" and run.info.status == "RUNNING"
    for step in range(10):
        client.log_metric(id, "loss", 1.0 / (step + 1), step=step)
    client.log_metric(id, "loss", 9.0, step=3)
    client.log_metric(id, "odd", float("nan"))
    client.log_metric(id, "big", float("inf"))
    client.log_param(id, "depth", 3)
    client.log_param(id, "depth", 3)
    refused("INVALID_PARAMETER_VALUE", client.log_param, id, "depth", 4)
    client.log_batch(
        id,
        metrics=[Metric(f"m{i}", i, 1_000, 0) for i in range(900)],
        params=[Param(f"p{i}", str(i)) for i in range(50)],
        tags=[RunTag(f"t{i}", str(i)) for i in range(50)],
    )
    point = Metric("twice", 1.0, 5, 1)
    client.log_batch(id, metrics=[point])
    client.log_batch(id, metrics=[point, point])
    history = client.get_metric_history(id, "twice")
    assert len(history) == 1, history
    assert len(client.get_metric_history(id, "loss")) == 11
    read = client.get_run(id)
    assert read.data.metrics["loss"] == 0.1, "the highest step is the latest"
    assert math.isnan(read.data.metrics["odd"]) and read.data.metrics["big"] > 1e308
    assert read.data.params["depth"] == "3" and read.data.tags["a"] == "b"
    client.set_tag(id, "mlflow.runName", "renamed")
    assert client.get_run(id).info.run_name == "renamed"
    client.update_run(id, name="again")
    assert client.get_run(id).data.tags["mlflow.runName"] == "again"
    client.delete_tag(id, "a")
    refused("RESOURCE_DOES_NOT_EXIST", client.delete_tag, id, "a")
    refused("INVALID_PARAMETER_VALUE", client.log_metric, id, "bad%name", 1.0)
    client.set_terminated(id)
    assert client.get_run(id).info.status == "FINISHED" and client.get_run(id).info.end_time

    for i in range(12):
        other = client.create_run(experiment, start_time=i)
        client.log_metric(other.info.run_id, "acc", i / 10)
        client.log_param(other.info.run_id, "kind", "even" if i % 2 == 0 else "odd")

    def search(filter, order=None, **more):
        return client.search_runs([experiment], filter, order_by=order or [], **more)

    assert [r.data.metrics["acc"] for r in search("metrics.acc > 0.85", ["metrics.acc ASC"])] == [0.9, 1.0, 1.1]
    assert len(search("params.kind = 'even' and metrics.acc <= 0.4")) == 3
    assert len(search("params.kind LIKE 'e%'")) == 6
    assert len(search("params.kind IS NULL")) == 1
    assert len(search("attributes.status = 'FINISHED'")) == 1
    ids = ",".join(f"'{r.info.run_id}'" for r in search("metrics.acc < 0.25"))
    assert len(search(f"attributes.run_id IN ({ids})")) == 3
    last = search("", ["metrics.acc DESC"])[-1]
    assert last.info.run_id == id, "what has no such metric comes last"
    seen, token = [], None
    while True:
        page = search("", ["attributes.start_time ASC"], max_results=5, page_token=token)
        seen += [r.info.run_id for r in page]
        token = page.token
        if not token:
            break
    assert len(seen) == len(set(seen)) == 13
    frame = mlflow.search_runs([experiment], "metrics.acc > 0.5")
    assert len(frame) == 6 and "metrics.acc" in frame.columns
    refused("INVALID_PARAMETER_VALUE", search, "metrics.acc > 'x'")
    refused("INVALID_PARAMETER_VALUE", search, "", max_results=50_001)
    client.delete_run(id)
    assert len(search("")) == 12
    refused("INVALID_PARAMETER_VALUE", client.log_metric, id, "late", 1.0)
    client.restore_run(id)
    assert len(search("")) == 13
    refused("RESOURCE_DOES_NOT_EXIST", client.get_run, "0" * 32)


def artifacts():
    mlflow.set_experiment("artifacts")
    with mlflow.start_run() as run, tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "sub").mkdir()
        (folder / "empty").touch()
        big = os.urandom(3_000_000)
        (folder / "sub" / "big name.bin").write_bytes(big)
        mlflow.log_artifacts(str(folder), "files")
        mlflow.log_text("hello", "files/note.txt")
        mlflow.log_dict({"a": 1}, "a.json")
        listed = sorted((f.path, f.is_dir, f.file_size) for f in client.list_artifacts(run.info.run_id, "files"))
        assert listed == [("files/empty", False, 0), ("files/note.txt", False, 5), ("files/sub", True, None)], listed
        back = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="files", dst_path=str(folder / "out"))
        assert (Path(back) / "sub" / "big name.bin").read_bytes() == big
        assert (Path(back) / "empty").read_bytes() == b""
        assert mlflow.artifacts.load_dict(run.info.artifact_uri + "/a.json") == {"a": 1}
        refused(("RESOURCE_DOES_NOT_EXIST", "INTERNAL_ERROR"), mlflow.artifacts.load_text, run.info.artifact_uri + "/none")


def nested():
    mlflow.set_experiment("nested")
    with mlflow.start_run(run_name="parent") as parent:
        for i in range(2):
            with mlflow.start_run(nested=True) as child:
                mlflow.log_metric("x", i)
    found = mlflow.search_runs(filter_string=f"tags.mlflow.parentRunId = '{parent.info.run_id}'", search_all_experiments=True)
    assert len(found) == 2, found


def sklearn():
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    mlflow.set_experiment("sklearn")
    data = load_iris()
    mlflow.autolog(disable=False, silent=True)
    with mlflow.start_run() as run:
        model = LogisticRegression(max_iter=200).fit(data.data, data.target)
    mlflow.autolog(disable=True, silent=True)
    read = client.get_run(run.info.run_id)
    assert read.data.metrics["training_accuracy_score"] > 0.9, read.data.metrics
    assert read.data.params["max_iter"] == "200"
    assert read.inputs.dataset_inputs, "autolog names its data"
    assert read.outputs.model_outputs, "autolog logs its model"
    with mlflow.start_run() as run:
        logged = mlflow.sklearn.log_model(model, name="iris", input_example=data.data[:2], registered_model_name="iris")
        mlflow.log_metric("accuracy", 0.97, model_id=logged.model_id)
    assert client.get_logged_model(logged.model_id).status.name == "READY"
    loaded = mlflow.sklearn.load_model(f"runs:/{run.info.run_id}/iris")
    assert (loaded.predict(data.data) == model.predict(data.data)).all()
    version = client.get_model_version("iris", "1")
    assert version.run_id == run.info.run_id and version.status == "READY", version
    assert version.tags["tern.status"] == "registry-only", version.tags
    assert "onnx" in version.status_message.lower(), version.status_message
    loaded = mlflow.pyfunc.load_model("models:/iris/1")
    assert (loaded.predict(data.data) == model.predict(data.data)).all()
    models = mlflow.search_logged_models(filter_string="metrics.accuracy > 0.9", output_format="list")
    assert [m.model_id for m in models] == [logged.model_id], models
    assert models[0].metrics[0].value == 0.97
    client.set_logged_model_tags(logged.model_id, {"a": "b"})
    client.delete_logged_model_tag(logged.model_id, "a")
    client.delete_logged_model(logged.model_id)
    refused("RESOURCE_DOES_NOT_EXIST", client.get_logged_model, logged.model_id)


def onnx_model(width, rng):
    from onnx import TensorProto, helper, numpy_helper

    def weight(name, *shape):
        return numpy_helper.from_array(rng.normal(size=shape).astype(np.float32), name)

    nodes = [
        helper.make_node("MatMul", ["x", "w1"], ["h0"]),
        helper.make_node("Relu", ["h0"], ["h1"]),
        helper.make_node("MatMul", ["h1", "w2"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["probabilities"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 4])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, 3])],
        [weight("w1", 4, width), weight("w2", width, 3)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def onnx():
    mlflow.set_experiment("onnx")
    rng = np.random.default_rng(1)
    example = rng.normal(size=(3, 4)).astype(np.float32)
    told = {}
    for accuracy, width in [(0.99, 20_000), (0.95, 64), (0.90, 8), (0.80, 9)]:
        with mlflow.start_run(run_name=f"width-{width}") as run:
            for step in range(20):
                mlflow.log_metric("loss", 1 / (step + 1), step=step)
            mlflow.log_metric("accuracy", accuracy)
            mlflow.log_param("width", width)
            mlflow.onnx.log_model(
                onnx_model(width, rng),
                name="model",
                input_example=example,
                registered_model_name="iris-onnx",
                metadata={"classes": ["setosa", "versicolor", "virginica"]},
            )
        told[width] = run.info.run_id
    for number in "1234":
        version = client.get_model_version("iris-onnx", number)
        assert version.status == "READY" and version.tags["tern.status"] == "deployable", version
    assert client.get_model_version("iris-onnx", "2").tags["tern.version"] == "iris-onnx/2"
    loaded = mlflow.pyfunc.load_model("models:/iris-onnx/2")
    assert np.asarray(loaded.predict(example)["probabilities"]).shape == (3, 3)

    # What the engine of devices does not run is refused, and says by what.
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [helper.make_node("Frobnicate", ["x"], ["y"], domain="nowhere")],
        "odd",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 2])],
    )
    imports = [helper.make_opsetid("", 13), helper.make_opsetid("nowhere", 1)]
    odd = helper.make_model(graph, opset_imports=imports, ir_version=8)
    with tempfile.TemporaryDirectory() as folder, mlflow.start_run() as run:
        Path(folder, "model.onnx").write_bytes(odd.SerializeToString())
        Path(folder, "MLmodel").write_text("flavors:\n  onnx:\n    data: model.onnx\n")
        mlflow.log_artifacts(folder, "odd")
    try:
        client.create_model_version("iris-onnx", f"{run.info.artifact_uri}/odd", run.info.run_id)
        raise AssertionError("a model that devices cannot run was registered")
    except MlflowException as err:
        assert "FAILED_REGISTRATION" in str(err) and "Frobnicate" in str(err), err
    print(json.dumps({"runs": told}))


def registry():
    client.create_registered_model("wine", tags={"a": "b"}, description="reds")
    refused("RESOURCE_ALREADY_EXISTS", client.create_registered_model, "wine")
    with mlflow.start_run() as run:
        mlflow.log_text("x", "model/x.txt")
    source = f"{run.info.artifact_uri}/model"
    first = client.create_model_version("wine", source, run.info.run_id, description="v1")
    client.create_model_version("wine", source, run.info.run_id, tags={"k": "v"})
    assert first.version == "1" or first.version == 1
    assert client.get_model_version_download_uri("wine", "1") == source
    client.set_registered_model_alias("wine", "champion", "2")
    assert client.get_model_version_by_alias("wine", "champion").version in ("2", 2)
    refused("INVALID_PARAMETER_VALUE", client.get_model_version_by_alias, "wine", "nobody")
    refused("INVALID_PARAMETER_VALUE", client.set_registered_model_alias, "wine", "latest", "1")
    client.set_model_version_tag("wine", "1", "checked", "yes")
    assert client.get_model_version("wine", "1").tags["checked"] == "yes"
    client.delete_model_version_tag("wine", "1", "checked")
    client.update_model_version("wine", "1", "better words")
    assert client.get_model_version("wine", "1").description == "better words"
    found = client.search_model_versions("name = 'wine'", order_by=["version_number ASC"])
    assert [str(v.version) for v in found] == ["1", "2"]
    assert len(client.search_model_versions(f"run_id = '{run.info.run_id}'")) == 2
    names = [m.name for m in client.search_registered_models("name LIKE 'w%'")]
    assert names == ["wine"], names
    latest = client.get_latest_versions("wine")
    assert [str(v.version) for v in latest] == ["2"]
    client.transition_model_version_stage("wine", "1", "Production")
    assert client.get_model_version("wine", "1").current_stage == "Production"
    for bad in ["/etc/passwd", "file:///etc/passwd", f"{run.info.artifact_uri}/../x"]:
        refused("INVALID_PARAMETER_VALUE", client.create_model_version, "wine", bad, run.info.run_id)
    client.delete_model_version("wine", "2")
    refused("RESOURCE_DOES_NOT_EXIST", client.get_model_version, "wine", "2")
    third = client.create_model_version("wine", source, run.info.run_id)
    assert str(third.version) == "3", "numbers are not given again"
    client.rename_registered_model("wine", "wines")
    assert client.get_registered_model("wines").description == "reds"
    client.delete_registered_model_alias("wines", "champion")
    client.delete_registered_model_tag("wines", "a")
    client.delete_registered_model("wines")
    refused("RESOURCE_DOES_NOT_EXIST", client.get_registered_model, "wines")


for part in sys.argv[1:]:
    globals()[part]()
    print(f"{part}: done", file=sys.stderr)
