"""A task of seconds that has everything the engine must get right: augmentation, noise inside the
network, batch statistics, a loss whose divisor varies from sample to sample and one of whose terms
grows with the progress of training."""

from __future__ import annotations

import hashlib
import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from backbones import BackboneSpec
from harness import plugins
from harness.console import Console
from harness.engine import state
from harness.engine.run import run
from harness.options import RunOptions
from tasks.contract import (
    DataInfo,
    Evaluation,
    Loss,
    Metric,
    Note,
    Pooled,
    Row,
    Split,
    Task,
    TaskDataset,
    Term,
)
from tasks.model import TaskModel
from tasks.recipe import TaskRecipe

COUNTS: dict[Split, int] = {"training": 37, "selection": 5, "test": 11}


class ToyEncoder(nn.Module):
    """Two convolutions with batch normalisation and noise by sample key. No bias before the
    normalisation: its gradient is rounding alone, which Adam would blow up to full steps."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.first = nn.Conv2d(3, 8, 3, stride=2, bias=False)
            self.norm = nn.BatchNorm2d(8)
            self.second = nn.Conv2d(8, 8, 3, stride=2)
        grey = (0.5, 0.5, 0.5)
        self.spec = BackboneSpec(
            "toy", "toy", "none", "0" * 64, "none", "none", grey, grey, None, {}
        )
        self.key_report = SimpleNamespace(line=lambda: "all of toy", as_dict=dict)
        self.keys: Tensor | None = None

    def set_sample_keys(self, keys: Tensor) -> None:
        self.keys = keys

    def initialise(self, seed: int) -> None:
        self.load_state_dict(ToyEncoder(seed).state_dict())

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.norm(self.first(x)))
        if self.training and self.keys is not None:
            x = x * (1 + 0.1 * (self.keys % 7).to(x) / 7)[:, None, None, None]
        return torch.relu(self.second(x)).mean((2, 3))

    def layer_ids(self, rule: str | None = None) -> dict[str, int]:
        return {n: 0 if n.startswith("first") else 1 for n, _ in self.named_parameters()}

    @property
    def last_layer(self) -> int:
        return 2

    def last_layer_of(self, rule: str | None) -> int:
        return self.last_layer

    def no_decay_names(self, rule: str | None = None) -> set[str]:
        return set()

    def parameters_sha256(self) -> str:
        digest = hashlib.sha256()
        for _, parameter in sorted(self.named_parameters()):
            digest.update(parameter.detach().numpy().tobytes())
        return digest.hexdigest()


class ToyModel(TaskModel):
    def __init__(self, backbone: Any) -> None:
        super().__init__(backbone)
        self.head = nn.Linear(8, 1)
        self.progress = 0.0

    def set_progress(self, share: float) -> None:
        self.progress = share

    def initialise(self, seed: int) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.head.reset_parameters()

    def loss(self, batch: dict[str, Any]) -> Loss:
        out = self.head(self.backbone(self.pixels(batch)))[:, 0]
        error = (out - batch["target"]) ** 2 * batch["weight"]
        return {
            "squared": Term(error.sum(), batch["weight"].sum()),
            "weight": Note(batch["weight"].sum(), torch.tensor(len(out))),
            "spread": Pooled(torch.stack([out.square().sum(), torch.tensor(len(out))]), _spread),
            "size": Term(0.01 * (1 + self.progress) * out.square().sum(), torch.tensor(len(out))),
        }

    def predict(self, batch: dict[str, Any]) -> list[Row]:
        out = self.head(self.backbone(self.pixels(batch)))[:, 0]
        return [
            {"sample": int(i), "value": float(v)} for i, v in zip(batch["index"], out, strict=True)
        ]


def _spread(sums: Tensor) -> Tensor:
    return 0.1 * (sums[0] / sums[1] + 1e-3).sqrt()


class ToyData(TaskDataset):
    def __init__(self, split: Split) -> None:
        self.split = split
        self.info = DataInfo("toy", split, COUNTS[split], split, "none")

    def __len__(self) -> int:
        return COUNTS[self.split]

    def target(self, index: int) -> float:
        return float(np.random.default_rng([len(self.split), index]).random())

    def item(self, index: int, rng: np.random.Generator | None) -> dict[str, Any]:
        target = self.target(index)
        image = np.full((3, 16, 16), 255 * target, np.float64)
        if rng is not None:
            image += rng.normal(0, 20, image.shape)
        return {
            "image": image.clip(0, 255).astype(np.uint8),
            "target": np.float32(target),
            "weight": np.float32(0.2 + index % 3),
        }


class Toy(Task):
    name: ClassVar[str] = "toy"
    version: ClassVar[int] = 1
    primary: ClassVar[str] = "error"
    recipes: ClassVar[Path] = Path(__file__).parent / "recipes"
    datasets: ClassVar[dict[str, str]] = {"microworld": "made up"}
    Recipe: ClassVar[type[TaskRecipe]] = TaskRecipe

    def dataset(self, recipe: Any, split: Split) -> ToyData:
        return ToyData(split)

    def encoder(self, recipe: Any, seed: int) -> Any:
        return ToyEncoder(5)

    def model(self, backbone: Any, recipe: Any, info: DataInfo) -> ToyModel:
        return ToyModel(backbone)

    def evaluate(self, rows: list[Row], dataset: Any) -> Evaluation:
        assert [row["sample"] for row in rows] == list(range(len(dataset)))
        errors = [abs(row["value"] - dataset.target(row["sample"])) for row in rows]
        samples = [float(row["sample"]) for row in rows]
        metric = Metric(float(np.mean(errors)), float(np.std(errors)), len(errors), "lower")
        return Evaluation("error", {"error": metric}, {"sample": samples, "error": errors}, "toy")

    def constant(self, dataset: Any) -> TaskModel:
        mean = float(np.mean([dataset.target(i) for i in range(len(dataset))]))

        class Constant(TaskModel):
            def predict(self, batch: dict[str, Any]) -> list[Row]:
                return [{"sample": int(i), "value": mean} for i in batch["index"]]

        return Constant()

    def draw(self, rows: list[Row], dataset: Any) -> Image.Image:
        return Image.new("RGB", (8, 8))

    def explain(self) -> str:
        return "a toy"


def options(output: Path, *sets: str, **fields: Any) -> RunOptions:
    """A toy cell under `output`."""
    plugins.TASKS["toy"] = "tests.harness.engine.toy:Toy"
    return RunOptions(task="toy", output=output, sets=sets, **({"workers": 0} | fields))


def main() -> None:
    """Run a toy cell: OUTPUT DEVICES PAUSE [SET ...]; `PAUSE` seconds are added to each step, and
    with SLOW_STATE in the environment so many to the writing of a state."""
    output, devices, pause, *sets = sys.argv[1:]
    plain = ToyModel.loss

    def slow(self: ToyModel, batch: dict[str, Any]) -> Loss:
        time.sleep(float(pause))
        return plain(self, batch)

    ToyModel.loss = slow  # type: ignore[method-assign]
    write = state.write

    def slow_write(folder: Path, saved: state.State) -> None:
        time.sleep(float(os.environ.get("SLOW_STATE", 0)))
        write(folder, saved)

    state.write = slow_write
    run(options(Path(output), *sets, devices=int(devices)), Console())


if __name__ == "__main__":
    # What is made slow must be the module that the run imports.
    from tests.harness.engine import toy

    toy.main()
