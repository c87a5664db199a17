"""What every task must do, whichever package it comes from."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from backbones.conformity import holds
from harness.engine.order import collate
from harness.testing.rules import equal
from tasks.contract import SPLITS, DataError, Note, Ragged, TaskDataset

if TYPE_CHECKING:
    from backbones import Backbone
    from tasks.contract import Evaluation, Row, Task
    from tasks.model import TaskModel
    from tasks.recipe import TaskRecipe

BATCH = 2


def check_task(task: Task, recipe: TaskRecipe, backbone: Backbone | None = None) -> None:
    """Check a task against the contract, on few samples: give a recipe of scale smoke.

    Args:
        task: the task.
        recipe: settings whose data set is there or can be made.
        backbone: an encoder for its model, of the recipe's input size; by default the shipped one
            that stands for `simmim`, or the task's own.

    Raises:
        AssertionError: with the rule that is broken.
    """
    task.prepare(recipe)
    datasets = {split: task.dataset(recipe, split) for split in SPLITS}
    for split, dataset in datasets.items():
        holds(dataset.info.split == split, f"info.split is {split}")
        _check_dataset(dataset)
    # Where the images are the labels there is nothing to exchange, and rows hold the truth.
    labelled = type(datasets["training"]).permuted is not TaskDataset.permuted
    if labelled:
        _check_permuted(datasets["training"])
    model = task.model(backbone or _encoder(task, recipe), recipe, datasets["training"].info)
    model.initialise(0)
    _check_loss(model, datasets["training"])
    test = datasets["test"]
    rows = _predictions(model, test)
    _check_evaluation(task, task.primary_of(recipe), rows, test)
    _check_constant(task.constant(datasets["training"]), test, labelled)
    picture = task.draw(rows, test)
    holds(min(picture.size) > 0, "draw gives a picture")
    holds(bool(task.explain().strip()), "explain says what is trained and measured")


def _check_dataset(dataset: TaskDataset) -> None:
    info = dataset.info
    holds(len(dataset) == info.count > 0, "info.count is the number of samples")
    holds(len(info.sha256) == 64, "info.sha256 is a hash of what decides the samples")
    holds(bool(info.licence), "info.licence says something")
    copy = pickle.loads(pickle.dumps(dataset))
    last = len(dataset) - 1
    first = dataset.item(0, None)
    image = first.get("image")
    if image is not None:
        whole = image.dtype == np.uint8 and image.ndim == 3 and len(image) == 3
        holds(whole, "image is uint8 (3,H,W)")
    _same_shapes(first, dataset.item(last, None))
    for augmented in (False, True):
        one = dataset.item(0, _rng(1) if augmented else None)
        dataset.item(last, _rng(2))
        np.random.seed(0)  # noqa: NPY002
        for again in (dataset, copy):
            holds(
                equal(one, again.item(0, _rng(1) if augmented else None)),
                "an item depends on index and generator alone",
            )


def _same_shapes(a: dict[str, Any], b: dict[str, Any]) -> None:
    holds(a.keys() == b.keys(), "items have the same keys")
    for key, value in a.items():
        if isinstance(value, Ragged):
            _same_but_first(key, value, b[key])
            continue
        holds(np.shape(value) == np.shape(b[key]), f"`{key}` has a fixed shape")


def _same_but_first(key: str, a: Ragged, b: Any) -> None:
    ragged = isinstance(b, Ragged) and a.values.shape[1:] == b.values.shape[1:]
    holds(ragged, f"`{key}` has fixed dimensions but for the first")


def _check_permuted(dataset: TaskDataset) -> None:
    permuted = dataset.permuted(0)
    indices = range(min(len(dataset), 32))
    pairs = [(dataset.item(i, None), permuted.item(i, None)) for i in indices]
    holds(len(permuted) == len(dataset), "the permuted control has as many samples")
    changed = sum(not equal(a, b) for a, b in pairs)
    holds(2 * changed > len(pairs), "permuted exchanges labels among samples")
    holds(
        equal(pairs[0][1], dataset.permuted(0).item(0, None)), "the permutation depends on the seed"
    )


def _check_loss(model: TaskModel, dataset: TaskDataset) -> None:
    model.train()
    batch = _batch(dataset, range(min(BATCH, len(dataset))), _rng(0))
    model.set_sample_keys(batch["index"])
    terms = model.loss(batch | {"batch_key": 0})
    holds(any(not isinstance(t, Note) for t in terms.values()), "loss names its terms")
    trained = [term for term in terms.values() if not isinstance(term, Note)]
    loss = torch.stack([term.value for term in trained]).sum()
    holds(bool(loss.isfinite()), "the loss is finite")
    torch.autograd.backward(loss)
    learning = [p for p in model.parameters() if p.requires_grad]
    holds(any(p.grad is not None and bool(p.grad.any()) for p in learning), "gradients flow")
    model.zero_grad(set_to_none=True)


def _predictions(model: TaskModel, dataset: TaskDataset) -> list[Row]:
    model.eval()
    rows: list[Row] = []
    with torch.no_grad():
        for start in range(0, len(dataset), 16):
            indices = range(start, min(start + 16, len(dataset)))
            rows += model.predict(_batch(dataset, indices, None))
    samples = {row["sample"] for row in rows}
    holds(samples <= set(range(len(dataset))), "`sample` is the index in the data set")
    holds(len({frozenset(row) for row in rows}) <= 1, "rows have the same keys")
    return rows


def _check_evaluation(task: Task, primary: str, rows: list[Row], dataset: TaskDataset) -> None:
    found = task.evaluate(rows, dataset)
    holds(found.primary == primary, "evaluation and task name the same primary metric")
    holds(found.primary in found.metrics, "the primary metric is among the metrics")
    holds("sample" in found.per_sample, "per-sample scores name their samples")
    lengths = {len(column) for column in found.per_sample.values()}
    holds(len(lengths) == 1, "per-sample columns are equally long")
    holds(_figures(task.evaluate(rows[::-1], dataset)) == _figures(found), "row order is nothing")
    alien = [*rows, {**rows[0], "sample": len(dataset)}]
    for broken, what in ((alien, "of a sample that there is not"), ([], "that are missing")):
        try:
            task.evaluate(broken, dataset)
        except DataError:
            continue
        raise AssertionError(f"evaluate refuses predictions {what}")


def _figures(evaluation: Evaluation) -> dict[str, str]:
    # Nine digits: sums in another order round differently.
    return {name: f"{metric.value:.9g}" for name, metric in evaluation.metrics.items()}


def _check_constant(model: TaskModel, dataset: TaskDataset, labelled: bool) -> None:
    holds(not list(model.parameters()), "the constant has no parameters")
    if not labelled:
        return
    model.eval()
    batch = _batch(dataset, range(min(BATCH, len(dataset))), None)
    seen = model.predict(batch)
    if "image" not in batch:
        return
    unseen = model.predict({**batch, "image": torch.zeros_like(batch["image"])})
    holds(equal(seen, unseen), "the constant does not look at the image")


def _batch(dataset: TaskDataset, indices: range, rng: np.random.Generator | None) -> dict[str, Any]:
    items = [dataset.item(index, rng) | {"index": index, "sample_key": index} for index in indices]
    return collate(items)


def _rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def _encoder(task: Task, recipe: TaskRecipe) -> Backbone:
    made = task.encoder(recipe, 0)
    if made is not None:
        return made
    import backbones

    return backbones.load(
        backbones.resolve("simmim", "smoke"), input_size=recipe.backbone.input_size
    )
