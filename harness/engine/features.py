"""Features of a fixed encoder, computed once for each sample and kept on disk."""

from __future__ import annotations

import hashlib
import math
import shutil
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor

from harness.engine import collective
from harness.engine.fit import quiet_lightning, trainer, workers
from harness.engine.order import Chosen, Feed, Items, collate
from harness.engine.surroundings import device_name
from harness.features.key import FeatureKey, Origin
from harness.features.size import Shapes, required_bytes, shard_length, shown
from harness.features.store import Store
from tasks.contract import Ragged, TaskDataset

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from backbones import Backbone
    from harness.console import Console
    from harness.engine.plan import Plan
    from harness.engine.signals import Signals
    from harness.features.feature_set import FeatureSet
    from tasks.model import TaskModel

SHARD = 256
"""Samples that are computed by one process and kept together; an interruption loses one shard."""

REMEMBERED = 2**30
"""Bytes of items that a process remembers: dense truth of a large data set does not fit."""

PASSING = "features"
"""Where they lie beside the record while a run lasts that is to leave none in the cache."""


def kept(plan: Plan, model: TaskModel) -> bool:
    """Whether this cell keeps the features of its encoder."""
    recipe = plan.recipe
    return recipe.protocol == "frozen" and recipe.features.cache and model.has_features


def compute(
    plan: Plan,
    model: TaskModel,
    dataset: TaskDataset,
    signals: Signals,
    console: Console,
    training: bool = False,
) -> FeatureSet:
    """The features of a data set, whole, computed in so far as they are not kept yet.

    Batches are within shards, so that the bits depend neither on the number of processes nor on
    interruptions.

    Args:
        plan: the cell.
        model: whose `features` are computed.
        dataset: the samples, as evaluation sees them.
        signals: that may end it.
        console: told size and progress, the latter of this process.
        training: whether they are what `loss` needs; else what `predict` needs.

    Raises:
        FeatureError: they are larger than the limit, or what is kept cannot be trusted.
        Interrupted: a signal came; whole shards are kept.
    """
    model.eval()
    found = _open(plan, model, dataset, console, training)
    missing = collective.of_first(found.missing())
    if missing:
        with quiet_lightning():
            _extract(plan, model, dataset, found, missing, signals, console, training)
    return found


def _extract(
    plan: Plan,
    model: TaskModel,
    dataset: TaskDataset,
    found: FeatureSet,
    missing: list[int],
    signals: Signals,
    console: Console,
    training: bool,
) -> None:
    """Compute this process's share of the missing shards; ends when all have theirs."""
    carrier = trainer(plan, [], 1)
    # Lightning refuses a process that has nothing to do; what two compute is the same.
    own = missing[carrier.global_rank :: carrier.world_size] or missing[:1]
    total = sum(len(found.samples(shard)) for shard in own)
    with console.phase(f"features of {dataset.info.split}", total, "samples") as advance:
        size = plan.recipe.features.batch_size
        batches = [b for shard in own for b in _batches(found.samples(shard), size)]
        module = _Extraction(model, found, signals, training, advance)
        feed = Feed(Items(dataset), Chosen(batches), workers(plan))
        carrier.predict(module, feed, return_predictions=False)
        carrier.strategy.barrier()


def forget(plan: Plan) -> None:
    """Remove what is not to stay in the cache."""
    shutil.rmtree(plan.folder / PASSING, ignore_errors=True)


def remembered(
    plan: Plan, model: TaskModel, dataset: TaskDataset, signals: Signals, console: Console
) -> TaskDataset:
    """The data set with features in place of its images."""
    training = dataset.info.split == "training"
    return Remembered(dataset, compute(plan, model, dataset, signals, console, training))


class Remembered(TaskDataset):
    """A data set whose items are read once and then remembered, as far as `REMEMBERED` goes,
    without their image but with the features of it as `features`. Nothing is augmented."""

    def __init__(self, dataset: TaskDataset, features: FeatureSet) -> None:
        self.dataset, self.features, self.info = dataset, features, dataset.info
        self._items: dict[int, dict[str, Any]] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self.dataset)

    def item(self, index: int, rng: np.random.Generator | None) -> dict[str, Any]:
        item = self._items.get(index)
        if item is None:
            item = self.dataset.item(index, None)
            del item["image"]
            self._bytes += sum(_size(value) for value in item.values())
            if self._bytes <= REMEMBERED:
                self._items[index] = item
        row = self.features.rows([index])
        return item | {"features": {name: f[0] for name, f in row.items()}}


def _size(value: Any) -> int:
    held = value.values if isinstance(value, Ragged) else value
    return int(getattr(held, "nbytes", 0))


class _Extraction(LightningModule):
    """Computes features and writes each shard as soon as it is whole."""

    def __init__(
        self,
        model: TaskModel,
        found: FeatureSet,
        signals: Signals,
        training: bool,
        advance: Callable[[int], None],
    ) -> None:
        super().__init__()
        self.model, self.found, self.signals = model, found, signals
        self.training_features, self.advance = training, advance
        self._parts: list[dict[str, Tensor]] = []

    def on_predict_start(self) -> None:
        self.signals.take()
        self.model.eval()

    def predict_step(self, batch: dict[str, Any], batch_idx: int) -> int:
        features = self.model.features(batch, self.training_features)
        self._parts.append({name: value.float().cpu() for name, value in features.items()})
        last = int(batch["index"][-1])
        shard = last // self.found.manifest.shard
        if last == self.found.samples(shard)[-1]:
            names = self._parts[0]
            whole = {name: torch.cat([part[name] for part in self._parts]) for name in names}
            self._parts = []
            self.found.write(shard, whole)
        count = len(batch["index"])
        self.advance(count)
        return count


def _open(
    plan: Plan, model: TaskModel, dataset: TaskDataset, console: Console, training: bool
) -> FeatureSet:
    shapes = _shapes(model, dataset, training)
    backbone, recipe = plan.backbone, plan.recipe
    key = FeatureKey(
        encoder=backbone.parameters_sha256(),
        arch={
            "family": backbone.spec.family,
            "arch": backbone.arch_as_run(),
            "mean": list(backbone.spec.mean),
            "std": list(backbone.spec.std),
            "drop_last": recipe.backbone.drop_last,
            "package": backbone.spec.package,
            "fc_norm": _beside(backbone),
        },
        data=dataset.info.sha256,
        transform={"task": plan.task.name, "version": plan.task.version} | dataset.view,
        outputs=tuple(shapes),
        precision=recipe.train.precision,
    )
    split = dataset.info.split
    origin = Origin(backbone.spec.name, dataset.info.name, split, device_name())
    limit = recipe.features.limit_gb
    root = None if recipe.features.cache else plan.folder / PASSING
    store = Store(root, None if limit is None else int(limit * 1e9))
    length = min(SHARD, shard_length(shapes, key.dtype))
    found = store.open(key, len(dataset), shapes, origin, length)
    if missing := found.missing():
        size = shown(required_bytes(len(dataset), shapes, key.dtype, length))
        console.note(f"features of {split}: {size} in {found.folder}")
        if len(missing) < found.shards:
            console.note(f"{found.shards - len(missing)} of {found.shards} parts are there already")
    else:
        console.note(f"features of {split}: kept in {found.folder}")
    return found


def _beside(backbone: Backbone) -> str:
    """Hash of what the encoder's own hash leaves out and `pooled` goes through: the norm of the
    mean, which a file may hold too."""
    digest = hashlib.sha256()
    for name, value in sorted(backbone.state_dict().items()):
        if name.startswith("fc_norm."):
            digest.update(name.encode())
            digest.update(value.float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _shapes(model: TaskModel, dataset: TaskDataset, training: bool) -> Shapes:
    """Names and shapes of the features of one sample."""
    batch = collate([dataset.item(0, None) | {"index": 0}])
    with torch.inference_mode():
        found = model.features(batch, training)
    return {name: tuple(value.shape[1:]) for name, value in found.items()}


def _batches(samples: range, size: int) -> list[list[int]]:
    count = math.ceil(len(samples) / size)
    return [list(samples[k * size : (k + 1) * size]) for k in range(count)]
