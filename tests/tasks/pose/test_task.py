"""Pose as a task: its contract, its model, what it says of predictions."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import default_collate

import backbones
from harness.testing import check_task
from tasks.contract import DataError, RecipeError
from tasks.pose.data import PoseDataset
from tasks.pose.model import PoseModel
from tasks.pose.task import Pose
from tests.tasks.pose.folders import make, recipe


def encoder(size: tuple[int, int] = (128, 128)) -> backbones.Backbone:
    return backbones.create(
        "vit", {"embed_dim": 96, "depth": 1, "patch_size": 16, "num_heads": 3}, size, seed=0
    )


def batch(data: PoseDataset, count: int) -> dict[str, Any]:
    items = [data.item(i, None) | {"index": i} for i in range(count)]
    found: dict[str, Any] = default_collate(items)
    return found


def perfect(data: PoseDataset) -> list[dict[str, Any]]:
    """Everybody's own pose as the prediction."""
    rows = []
    for index in range(len(data)):
        points = data.samples.keypoints[index]
        triple = np.concatenate((points, np.ones((len(points), 1))), 1)
        box = data.samples.boxes[index]
        rows.append(
            {
                "sample": index,
                "image_id": 0,
                "annotation": 0,
                "keypoints": triple.ravel().tolist(),
                "box_score": 1.0,
                "box": box.tolist(),
                "area": float(box[2] * box[3]),
            }
        )
    return rows


def test_contract(tmp_path: Path) -> None:
    root = make(tmp_path / "set")
    check_task(Pose(), recipe("smoke-folder", root=root), encoder())


class PoseDatasetInfo:
    model = {"flip": list(range(17)), "joints": [""] * 17}  # noqa: RUF012


def test_initialise_draws_the_head_alone() -> None:
    model = PoseModel(encoder(), recipe("smoke"), PoseDatasetInfo())  # type: ignore[arg-type]
    before = model.backbone.parameters_sha256()
    drawn = []
    for seed in (0, 0, 1):
        model.initialise(seed)
        torch.manual_seed(99)
        drawn.append(torch.cat([p.detach().flatten() for p in model.head.parameters()]))
    assert (drawn[0] == drawn[1]).all() and (drawn[0] != drawn[2]).any()
    assert model.backbone.parameters_sha256() == before
    weights = model.head.get_parameter("final_layer.weight")
    assert float(weights.detach().std()) == pytest.approx(0.001, rel=0.2)


def test_a_map_size_that_the_head_does_not_give_is_refused() -> None:
    given = recipe("smoke")
    wrong = given.model_copy(
        update={"codec": given.codec.model_copy(update={"heatmap_size": (40, 40)})}
    )
    with pytest.raises(RecipeError, match="32x32"):
        PoseModel(encoder(), wrong, PoseDatasetInfo())  # type: ignore[arg-type]
    uneven = given.model_copy(
        update={"backbone": given.backbone.model_copy(update={"input_size": (120, 128)})}
    )
    with pytest.raises(RecipeError, match="multiples of the encoder's stride 16"):
        PoseModel(encoder((120, 128)), uneven, PoseDatasetInfo())  # type: ignore[arg-type]


def test_predictions_lie_where_the_maps_have_their_peaks(tmp_path: Path) -> None:
    """A network whose maps are the targets gives the annotated joints, in image pixels."""
    from tasks.pose import codec

    given = recipe("smoke-folder", root=make(tmp_path / "set"))
    data = PoseDataset(given, "test")
    model = PoseModel(encoder(), given, data.info).eval()
    items = batch(data, 4)
    target, _ = codec.encode(items["keypoints"], items["visible"], given.codec, (128, 128))
    mirrored = target.flip(-1)[:, model.flip]
    plain = torch.log(target + 1e-9)
    maps = iter([plain, torch.log(mirrored + 1e-9)])
    model.maps = lambda images: next(maps)  # type: ignore[method-assign]
    rows = model.predict(items)
    for index, row in enumerate(rows):
        found = np.array(row["keypoints"]).reshape(-1, 3)
        inside = (np.abs(items["keypoints"][index].numpy() - 64) < 30).all(-1)
        seen = data.samples.visible[index] & inside
        assert seen.any()
        error = np.abs(found[seen, :2] - data.samples.keypoints[index][seen])
        # The softmax flattens the tail of the Gaussian: not as exact as the codec alone.
        assert error.max() < 0.3
        assert row["image_id"] == items["image_id"][index]


def test_perfect_predictions_and_the_rest(tmp_path: Path) -> None:
    data = PoseDataset(recipe("smoke-folder", root=make(tmp_path / "set")), "test")
    rows = perfect(data)
    found = Pose().evaluate(rows, data)
    assert found.metrics["OKS"].value == pytest.approx(1.0)
    # One counted person, with an empty box, is no sample: it is missed.
    assert found.metrics["AR"].value == pytest.approx(6 / 7)
    assert found.per_sample["oks"] == pytest.approx([1.0] * 6)
    assert found.metrics["AP"].n == 7
    assert found.resampled is not None
    assert found.metrics["AP"].error == pytest.approx(np.std(found.resampled, ddof=1))
    for broken in (rows[1:], [*rows, rows[0]], [{**rows[0], "sample": 6}, *rows[1:]]):
        with pytest.raises(DataError, match="sample"):
            Pose().evaluate(broken, data)
    short = [{**rows[0], "keypoints": rows[0]["keypoints"][3:]}, *rows[1:]]
    with pytest.raises(DataError, match="48 values, expected 51"):
        Pose().evaluate(short, data)
