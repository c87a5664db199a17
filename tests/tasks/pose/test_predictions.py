"""From maps to rows: flip test, decoding, the way back to the image, and the mean pose."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import backbones
from tasks.contract import DataInfo
from tasks.pose import codec
from tasks.pose.crop import back_to_image
from tasks.pose.model import MeanPose, PoseModel
from tasks.pose.recipe import PoseRecipe
from tests.tasks.pose.folders import recipe

FOLDER = Path(__file__).parents[2] / "fixtures/recipes/evaluation_procedures"
PUBLISHED = json.loads((FOLDER / "flip_test.json").read_text())
FLIP = PUBLISHED["flip_indices"]
JOINTS = torch.tensor(PUBLISHED["true"])
SIZE = (128, 96)

CENTER, SCALE = np.array([[50.0, 70.0]]), np.array([[192.0, 256.0]])
BATCH = {
    "image": torch.zeros(1, 3, *SIZE),
    "center": torch.from_numpy(CENTER),
    "scale": torch.from_numpy(SCALE),
    "box": torch.tensor([[10.0, 20.0, 80.0, 100.0]]),
    "box_score": torch.tensor([0.5]),
    "image_id": torch.tensor([7]),
    "annotation": torch.tensor([9]),
    "index": torch.tensor([3]),
}


def settings(kind: str, loss: str = "mse", flip: bool = True) -> PoseRecipe:
    values = recipe("smoke").model_dump()
    values["backbone"]["input_size"] = SIZE
    values["codec"] |= {"type": kind, "heatmap_size": (32, 24), "sigma": 2.0, "blur_kernel": 11}
    values["head"]["loss"] = loss
    values["test"]["flip"] = flip
    return PoseRecipe.model_validate(values)


def maps_of(joints: torch.Tensor, given: PoseRecipe) -> torch.Tensor:
    """What a network gives that has learned its targets."""
    return codec.encode(joints, torch.ones(joints.shape[:2]), given.codec, SIZE)[0]


def predicted(given: PoseRecipe, *maps: torch.Tensor) -> dict[str, Any]:
    """The row of a network that gives these maps, one call after the other."""
    arch = {"embed_dim": 24, "depth": 1, "patch_size": 16, "num_heads": 1}
    info = DataInfo("", "test", 1, "", "", model={"flip": FLIP})
    model = PoseModel(backbones.create("vit", arch, SIZE, seed=0), given, info).eval()
    calls = iter(maps)
    model.maps = lambda images: next(calls)  # type: ignore[method-assign]
    (row,) = model.predict(BATCH)
    assert next(calls, None) is None
    return row


@pytest.mark.parametrize(
    ("kind", "case"), [("udp", "udp.shift=False"), ("msra", "msra.shift=True")]
)
def test_flip_test_as_published(kind: str, case: str) -> None:
    """Whole-pixel maps are shifted by a cell after mirroring, those of UDP are not."""
    given = settings(kind)
    mirrored = JOINTS[:, FLIP] * torch.tensor([-1, 1]) + torch.tensor([SIZE[1] - 1, 0])
    row = predicted(given, maps_of(JOINTS, given), maps_of(mirrored, given))
    found = np.array(row["keypoints"]).reshape(1, 4, 3)
    expected = back_to_image(np.array(PUBLISHED[case]["decoded"]), CENTER, SCALE, SIZE)
    np.testing.assert_allclose(found[..., :2], expected, rtol=0, atol=2e-3)
    np.testing.assert_allclose(found[..., 2], PUBLISHED[case]["scores"], rtol=0, atol=1e-6)
    rest = {key: value for key, value in row.items() if key != "keypoints"}
    assert rest == {
        "sample": 3,
        "image_id": 7,
        "annotation": 9,
        "box_score": 0.5,
        "box": [10.0, 20.0, 80.0, 100.0],
        "area": 192.0 * 256.0,
    }


def test_without_flip_test_the_image_is_seen_once() -> None:
    given = settings("udp", flip=False)
    maps = maps_of(JOINTS, given)
    found = np.array(predicted(given, maps)["keypoints"]).reshape(1, 4, 3)
    points, scores = codec.decode(codec.decoder(given.codec, SIZE), maps.numpy())
    np.testing.assert_allclose(found[..., :2], back_to_image(points, CENTER, SCALE, SIZE))
    np.testing.assert_allclose(found[..., 2], scores)


def test_certainty_is_a_peak_of_one_under_cross_entropy() -> None:
    """The softmax of a Gaussian's logarithm is that Gaussian: it gets its peak of about 1 again,
    and an even map the Gaussian's mass, 2 pi sigma^2, spread over its cells."""
    given = settings("udp", "cross_entropy", flip=False)
    maps = maps_of(JOINTS, given)
    sure = predicted(given, torch.log(maps + 1e-9))["keypoints"][2::3]
    assert sure == pytest.approx(maps.amax((2, 3))[0].tolist(), abs=0.02)
    surest = predicted(given, 4 * torch.log(maps + 1e-9))["keypoints"][2::3]
    assert surest == [1.0] * 4
    unsure = predicted(given, torch.zeros_like(maps))["keypoints"][2::3]
    assert unsure == pytest.approx([2 * np.pi * 2.0**2 / (32 * 24)] * 4, rel=1e-4)


def test_mean_pose_in_the_box() -> None:
    """Half across and a quarter down the box 10, 20, 80, 100."""
    (row,) = MeanPose(np.array([[0.5, 0.25], [0.0, 1.0]])).predict(BATCH)
    assert row["keypoints"] == [50.0, 45.0, 1.0, 10.0, 120.0, 1.0]
    assert row["area"] == 192.0 * 256.0 and row["box_score"] == 0.5
