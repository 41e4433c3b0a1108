"""Trains a digit reader with scikit-learn on a dataset version of Tern and writes a package of it.

Reads the directory in TERN_DATASET (or `--dataset`), writes `model/` (or `--out`): what `tern model publish` takes. Says
on standard output, as one line of JSON, what it read and how good it is. Is tracked if MLFLOW_TRACKING_URI is set.

Inputs are scaled by a step that ships with the model, so that training and device cannot disagree.
"""

import argparse
import json
import os
import warnings

import numpy as np
import onnx
from onnx.utils import Extractor
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from tern import dataset, package

HEAVIEST = 10.0
"""A row stands for so many at most: one that was kept with a tiny chance must not be all that is learnt."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", help="directory of the dataset version; TERN_DATASET if not given")
    parser.add_argument("--out", default="model", help="directory of the package")
    parser.add_argument("--hidden", type=float, default=96, help="units of the hidden layer")
    parser.add_argument("--epochs", type=float, default=60, help="rounds over the rows")
    parser.add_argument("--seed", type=float, default=1, help="decides initial weights and order")
    args = parser.parse_args()

    data = dataset.load(args.dataset)
    train, held_out = data.split("train"), data.split("held-out")
    lacking = sorted(set(data.classes) - set(train.y.tolist()))
    if lacking or not len(held_out):
        raise SystemExit(f"{data.name}: " + (f"no row of class {lacking[0]} to train on" if lacking else "no row held out"))

    rows, shape = train.x.reshape(len(train), -1).astype(np.float32), data.manifest["input"]["shape"]
    scale = np.float32(1 / max(float(np.abs(rows).max()), 1e-6))
    network = MLPClassifier((int(args.hidden),), alpha=1e-2, batch_size=32, learning_rate_init=2e-3, max_iter=int(args.epochs),
                            n_iter_no_change=int(args.epochs), random_state=int(args.seed))
    weight = np.where(np.isfinite(train.weight), train.weight, 1).clip(0, HEAVIEST)
    with warnings.catch_warnings():
        # How many rounds there are is said by whoever trains, not by when it stops paying.
        warnings.simplefilter("ignore", ConvergenceWarning)
        network.fit(rows * scale, train.y, sample_weight=weight)
    classes = [str(name) for name in network.classes_]

    held = held_out.x.reshape(len(held_out), -1).astype(np.float32)
    answers = network.predict_proba(held * scale).astype(np.float32)
    accuracy = float(np.mean(np.asarray(classes)[answers.argmax(axis=1)] == held_out.y))

    name = data.manifest["input"]["name"]
    model = to_onnx(network, initial_types=[(name, FloatTensorType([None, rows.shape[1]]))], target_opset=13,
                    options={"zipmap": False})
    # The converter gives the label as well; a classifier of Tern answers with the probability of each class.
    model = Extractor(model).extract_model([name], ["probabilities"])
    onnx.checker.check_model(model)

    steps: list[dict[str, object]] = [] if train.x.dtype == np.float32 else [{"step": "cast", "to": "f32"}]
    steps += [{"step": "scale", "factor": float(scale)}]
    steps += [{"step": "reshape", "shape": [rows.shape[1]]}] if len(shape) > 1 else []
    side = int(rows.shape[1] ** 0.5)
    image = package.Image(side, side) if name == "image" and side * side == rows.shape[1] else None
    package.write(
        args.out,
        model,
        inputs={name: held_out.x},
        outputs={"probabilities": answers},
        classes=classes,
        reference=package.reference(rows, train.y, classes=classes, answers=answers, right=held_out.y, image=image),
        note=f"scikit-learn on {data.name}",
        validation_accuracy=accuracy,
        pre=[{"input": name, "steps": steps}],
    )
    tracked(args, data.name, network.loss_curve_, accuracy)
    read = {split: {"rows": len(rows), "digest": rows.digest} for split, rows in (("train", train), ("held-out", held_out))}
    print(json.dumps({"validation_accuracy": accuracy, "read": read, "out": args.out}))


def tracked(args: argparse.Namespace, name: str, losses: list[float], accuracy: float) -> None:
    """Tells MLflow's server, if there is one; in a job that is the hub, and the run is the job's."""
    if not os.environ.get("MLFLOW_TRACKING_URI"):
        return
    import mlflow

    with mlflow.start_run():
        mlflow.log_params({"hidden": int(args.hidden), "epochs": int(args.epochs), "seed": int(args.seed), "dataset": name})
        for step, loss in enumerate(losses):
            mlflow.log_metric("loss", loss, step=step, synchronous=False)
        mlflow.log_metric("validation_accuracy", accuracy)


if __name__ == "__main__":
    main()
