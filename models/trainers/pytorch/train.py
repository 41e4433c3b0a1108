"""Trains a digit reader with PyTorch on a dataset version of Tern and writes a package of it.

Reads the directory in TERN_DATASET (or `--dataset`), writes `model/` (or `--out`): what `tern model publish` takes. Says
on standard output, as one line of JSON, what it read and how good it is. Is tracked if MLFLOW_TRACKING_URI is set.

Inputs are scaled inside the graph, so that training and device cannot disagree.
"""

import argparse
import inspect
import io
import json
import os

import numpy as np
import torch
from torch import nn

from tern import dataset, package

HEAVIEST = 10.0
"""A row stands for so many at most: one that was kept with a tiny chance must not be all that is learnt."""

BATCH = 32
"""Rows in one step of the optimiser."""


class Reader(nn.Module):
    """scale → hidden layer → ReLU → scores; `forward` ends with their probabilities."""

    def __init__(self, inputs: int, hidden: int, classes: int, scale: float) -> None:
        super().__init__()
        self.register_buffer("scale", torch.tensor(scale))
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, classes))

    def scores(self, rows: torch.Tensor) -> torch.Tensor:
        return self.layers(rows * self.scale)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return torch.softmax(self.scores(rows), dim=1)


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

    torch.manual_seed(int(args.seed))
    rows, held = (torch.from_numpy(split.x.astype(np.float32)) for split in (train, held_out))
    place = {name: at for at, name in enumerate(data.classes)}
    truths = torch.tensor([place[name] for name in train.y.tolist()])
    weight = torch.from_numpy(np.where(np.isfinite(train.weight), train.weight, 1).clip(0, HEAVIEST).astype(np.float32))
    reader = Reader(rows[0].numel(), int(args.hidden), len(place), 1 / max(float(rows.abs().max()), 1e-6))
    losses = fit(reader, rows, truths, weight / weight.mean(), int(args.epochs))

    reader.eval()
    with torch.no_grad():
        answers = reader(held).numpy()
    accuracy = float(np.mean(np.asarray(data.classes)[answers.argmax(axis=1)] == held_out.y))

    name = data.manifest["input"]["name"]
    side = int(rows[0].numel() ** 0.5)
    image = package.Image(side, side) if name == "image" and side * side == rows[0].numel() else None
    package.write(
        args.out,
        exported(reader, held[:1], name),
        inputs={name: held.numpy()},
        outputs={"probabilities": answers},
        classes=data.classes,
        reference=package.reference(rows.numpy(), train.y, classes=data.classes, answers=answers, right=held_out.y,
                                    image=image),
        note=f"PyTorch on {data.name}",
        validation_accuracy=accuracy,
    )
    tracked(args, data.name, losses, accuracy)
    read = {split: {"rows": len(rows), "digest": rows.digest} for split, rows in (("train", train), ("held-out", held_out))}
    print(json.dumps({"validation_accuracy": accuracy, "read": read, "out": args.out}))


def fit(reader: Reader, rows: torch.Tensor, truths: torch.Tensor, weight: torch.Tensor, epochs: int) -> list[float]:
    """Trains; the mean loss of each epoch."""
    optimiser = torch.optim.AdamW(reader.parameters(), lr=5e-3, weight_decay=0.02)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    loss_of = nn.CrossEntropyLoss(reduction="none")
    losses = []
    for _ in range(epochs):
        sum_of = 0.0
        for batch in torch.randperm(len(rows)).split(BATCH):
            loss = (loss_of(reader.scores(rows[batch]), truths[batch]) * weight[batch]).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            sum_of += float(loss) * len(batch)
        falling.step()
        losses.append(sum_of / len(rows))
    return losses


def exported(reader: Reader, example: torch.Tensor, name: str) -> bytes:
    """The network as ONNX with any number of rows."""
    file = io.BytesIO()
    # Since 2.5 there is a second exporter, which brings packages of its own and newer operator sets.
    older = {"dynamo": False} if "dynamo" in inspect.signature(torch.onnx.export).parameters else {}
    torch.onnx.export(reader, (example,), file, input_names=[name], output_names=["probabilities"], opset_version=13,
                      dynamic_axes={name: {0: "N"}, "probabilities": {0: "N"}}, **older)
    return file.getvalue()


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
