"""Heat maps, decoding, crops, loss and flip test against outputs of the published code."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tasks.pose import codec
from tasks.pose.crop import Region, back_to_image, matrix, mirror, region, with_shape
from tasks.pose.model import cross_entropy, flip_back, shift_right, squared_error
from tasks.pose.recipe import CodecRecipe
from tests.tasks.pose.folders import recipe as shipped_recipe

FOLDER = Path(__file__).parents[2] / "fixtures/recipes"
MAPS = load_file(FOLDER / "targets/heatmaps.safetensors")


def json_of(name: str) -> Any:
    return json.loads((FOLDER / name).read_text())


def recipe(kind: str, size: tuple[int, int], sigma: float = 2.0) -> CodecRecipe:
    return CodecRecipe.model_validate(
        {"type": kind, "heatmap_size": (size[0] // 4, size[1] // 4), "sigma": sigma}
    )


CASES = [(w, h, kind) for w, h in ((192, 256), (96, 128)) for kind in ("udp", "msra")]


@pytest.mark.parametrize(("width", "height", "kind"), CASES)
def test_heatmaps(width: int, height: int, kind: str) -> None:
    name = f"{width}x{height}"
    points, visible = MAPS[f"{name}.keypoints"], MAPS[f"{name}.visible"]
    settings = recipe(kind, (height, width))
    maps, weights = codec.encode(points, visible, settings, (height, width))
    # float32 exponentials of two libraries.
    torch.testing.assert_close(maps[0], MAPS[f"{name}.{kind}.heatmaps"], rtol=0, atol=1e-6)
    assert weights.tolist() == json_of("targets/heatmaps.json")[f"{name}.{kind}"]["weights"]


@pytest.mark.parametrize(("width", "height", "kind"), CASES)
def test_decoding(width: int, height: int, kind: str) -> None:
    name = f"{width}x{height}.{kind}"
    decoder = codec.decoder(recipe(kind, (height, width)), (height, width))
    expected = json_of("targets/heatmaps.json")[name]
    points, scores = codec.decode(decoder, MAPS[f"{name}.heatmaps"][None].numpy())
    there = np.array(expected["decoded"], dtype=float)
    drawn = np.array(expected["max_per_joint"]) > 0
    np.testing.assert_allclose(points[:, drawn], there[:, drawn], rtol=0, atol=1e-3)
    np.testing.assert_allclose(scores, expected["scores"], rtol=0, atol=1e-6)
    # Where mmpose has no answer, the middle with score 0.
    assert (points[:, ~drawn] == (width / 2, height / 2)).all()
    # Noisy maps: MSRA's quarter of a cell towards the higher neighbour, UDP's refinement.
    points, scores = codec.decode(decoder, MAPS[f"{name}.noisy"][None].numpy())
    np.testing.assert_allclose(points, MAPS[f"{name}.noisy_decoded"], rtol=0, atol=1e-3)
    np.testing.assert_allclose(scores, MAPS[f"{name}.noisy_scores"], rtol=0, atol=1e-6)


def test_decoding_of_what_mmpose_refuses() -> None:
    decoder = codec.decoder(recipe("udp", (128, 128)), (128, 128))
    ramp = np.zeros((1, 2, 32, 32), dtype=np.float32)
    ramp[0, 0] = 1e-6
    ramp[0, 1, 10, 20] = 1.0
    points, scores = codec.decode(decoder, ramp)
    assert np.isfinite(points).all() and np.isfinite(scores).all()
    assert points[0, 1] == pytest.approx((20 * 128 / 31, 10 * 128 / 31), abs=0.1)


@pytest.mark.parametrize("case", json_of("targets/affine.json"))
def test_affine(case: dict[str, Any]) -> None:
    x1, y1, x2, y2 = case["box_xyxy"]
    size = case["input_size"][1], case["input_size"][0]
    area = region(np.array([x1, y1, x2 - x1, y2 - y1]), 1.25)
    scale = with_shape(area.scale, size)
    np.testing.assert_allclose(scale, case["scale_after_aspect"][0], rtol=0, atol=1e-9)
    kind = "udp" if case["udp"] else "msra"
    affine = matrix(Region(area.center, scale, case["rotation"]), size, kind)  # type: ignore[arg-type]
    # The reference goes through float32: 2e-5 for offsets of some hundred pixels.
    np.testing.assert_allclose(affine, case["matrix"], rtol=0, atol=1e-4)
    mapped = np.array(case["keypoints"][0]) @ affine[:, :2].T + affine[:, 2]
    np.testing.assert_allclose(mapped, case["mapped"][0], rtol=0, atol=1e-3)


def test_mirror_is_the_map_of_the_mirrored_image() -> None:
    affine = matrix(Region(np.array([40.0, 30.0]), np.array([50.0, 60.0]), 20.0), (60, 50), "udp")
    point = np.array([12.0, 7.0, 1.0])
    mirrored = np.array([99 - 12.0, 7.0, 1.0])
    np.testing.assert_allclose(mirror(affine, 100) @ point, affine @ mirrored, atol=1e-9)


@pytest.mark.parametrize("case", json_of("targets/round_trip.json"))
def test_round_trip_fixture(case: dict[str, Any]) -> None:
    x1, y1, x2, y2 = case["box"]
    size = case["input_size"][1], case["input_size"][0]
    area = region(np.array([x1, y1, x2 - x1, y2 - y1]), 1.25)
    scale = with_shape(area.scale, size)
    kind = "udp" if case["udp"] else "msra"
    affine = matrix(Region(area.center, scale), size, kind)  # type: ignore[arg-type]
    inside = np.array(case["joints_image"]) @ affine[:, :2].T + affine[:, 2]
    np.testing.assert_allclose(inside, case["joints_input_space"], rtol=0, atol=1e-4)
    settings = recipe(kind, size)
    maps, _ = codec.encode(torch.from_numpy(inside).float(), torch.ones(1, 4), settings, size)
    decoded, _ = codec.decode(codec.decoder(settings, size), maps.numpy())
    np.testing.assert_allclose(decoded, case["decoded_input_space"], rtol=0, atol=1e-3)
    image = back_to_image(decoded, area.center[None], scale[None], size)
    np.testing.assert_allclose(image, case["decoded_image"], rtol=0, atol=1e-2)


@pytest.mark.parametrize("name", ["paper", "tiny"])
def test_round_trip(name: str) -> None:
    """Image, crop, map, image: under 0.1 image pixels for joints inside, 8 cells off the border
    (nearer, the decoder's blur sees beyond the map), people as large as twice the crop."""
    rng = np.random.default_rng(0)
    shipped = shipped_recipe(name)
    size, settings = shipped.backbone.input_size, shipped.codec
    decoder = codec.decoder(settings, size)
    for box in ([30.0, 40.0, 60.0, 90.0], [10.0, 5.0, 180.0, 120.0], [0.0, 0.0, 250.0, 400.0]):
        area = region(np.array(box), 1.25)
        scale = with_shape(area.scale, size)
        affine = matrix(Region(area.center, scale), size, "udp")
        height, width = size
        inside = rng.uniform(32, np.array([width, height]) - 33, (17, 2))
        joints = np.linalg.solve(affine[:, :2], (inside - affine[:, 2]).T).T
        points = torch.from_numpy(joints @ affine[:, :2].T + affine[:, 2])[None].float()
        maps, _ = codec.encode(points, torch.ones(1, 17), settings, size)
        found, _ = codec.decode(decoder, maps.numpy())
        back = back_to_image(found, area.center[None], scale[None], size)
        assert np.abs(back - joints).max() < 0.1


def test_flip_test() -> None:
    tensors = load_file(FOLDER / "evaluation_procedures/flip_test.safetensors")
    flip = json_of("evaluation_procedures/flip_test.json")["flip_indices"]
    given, mirrored = tensors["heatmaps"], tensors["heatmaps_of_flipped_image"]
    back = flip_back(mirrored, flip)
    for found, name in ((back, "no_shift"), (shift_right(back), "shift")):
        torch.testing.assert_close(found, tensors[f"out_flipped_{name}"], rtol=0, atol=0)
        mean = (given + found) * 0.5
        torch.testing.assert_close(mean, tensors[f"out_combined_{name}"], rtol=0, atol=1e-7)


@pytest.mark.parametrize("kind", ["udp", "msra"])
@pytest.mark.parametrize("shifted", [False, True])
def test_flip_test_of_joints(kind: str, shifted: bool) -> None:
    published = json_of("evaluation_procedures/flip_test.json")
    size, settings, flip = (128, 96), recipe(kind, (128, 96)), published["flip_indices"]
    joints = torch.tensor(published["true"])
    mirrored = joints[:, flip] * torch.tensor([-1, 1]) + torch.tensor([95, 0])
    maps, other = (
        codec.encode(points, torch.ones(1, 4), settings, size)[0] for points in (joints, mirrored)
    )
    back = flip_back(other, flip)
    mean = (maps + (shift_right(back) if shifted else back)) * 0.5
    points, scores = codec.decode(codec.decoder(settings, size), mean.numpy())
    expected = published[f"{kind}.shift={shifted}"]
    np.testing.assert_allclose(points, expected["decoded"], rtol=0, atol=1e-3)
    np.testing.assert_allclose(scores, expected["scores"], rtol=0, atol=1e-6)


def test_squared_error() -> None:
    tensors = load_file(FOLDER / "losses/keypoint_mse.safetensors")
    expected = json_of("losses/keypoint_mse.json")
    names = ("output", "target", "target_weight")
    maps, target, weights = (tensors[n] for n in names)
    term = squared_error(maps.double(), target.double(), weights.double())
    assert float(term.total / term.count) == pytest.approx(expected["weighted_float64"], rel=1e-9)
    # ViTPose's own multiplies both maps by the weight, so that it counts squared.
    term = squared_error(maps.double(), target.double(), weights.double() ** 2)
    vitpose = expected["vitpose_JointsMSELoss_weighted_float64"]
    assert float(term.total / term.count) == pytest.approx(vitpose, rel=1e-9)


def test_cross_entropy_against_its_definition() -> None:
    torch.manual_seed(0)
    maps, target = torch.randn(2, 3, 4, 5).double(), torch.rand(2, 3, 4, 5).double()
    weights = torch.tensor([[1.0, 0.0, 1.0], [1.0, 1.0, 1.0]]).double()
    target[1, 1] = 0
    term = cross_entropy(maps, target, weights)
    total = 0.0
    for b, k in ((0, 0), (0, 2), (1, 0), (1, 2)):
        share = (target[b, k] / target[b, k].sum()).numpy()
        chance = np.exp(maps[b, k].numpy())
        total -= (share * np.log(chance / chance.sum())).sum()
    assert float(term.count) == 4
    assert float(term.total) == pytest.approx(total, rel=1e-12)
