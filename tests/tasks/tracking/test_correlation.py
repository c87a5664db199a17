from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

import backbones
from tasks.contract import RecipeError
from tasks.tracking import rows
from tasks.tracking.correlation import Correlation, covered, places, slid
from tasks.tracking.following import follow
from tests.backbones.stages import small
from tests.tasks.tracking.worlds import Painted, batch, moving, recipe


def given(size: tuple[int, int] = (64, 64), **sections: Any) -> Any:
    model = {"type": "correlation"} | sections.pop("model", {})
    return recipe(size, protocol="frozen", model=model, **sections)


def plain(size: tuple[int, int] = (64, 64)) -> backbones.Backbone:
    arch = {"embed_dim": 12, "depth": 2, "patch_size": 16, "num_heads": 3}
    return backbones.create("vit", arch, size, seed=0).eval()


class Patches(torch.nn.Module):
    """A plain encoder without context: a random projection of each patch of 8 pixels."""

    def __init__(self, size: tuple[int, int] = (64, 64)) -> None:
        super().__init__()
        self.input_size = size
        self.feature_info = (backbones.FeatureInfo(32, 8),)
        drawn = torch.randn(32, 3, 8, 8, generator=torch.Generator().manual_seed(0))
        self.weights = drawn - drawn.mean((1, 2, 3), keepdim=True)

    def encode(self, images: Tensor) -> Tensor:
        return functional.conv2d(images, self.weights, stride=8)


def patches(size: tuple[int, int] = (64, 64), **sections: Any) -> Correlation:
    model = Correlation(cast(Any, Patches(size)), given(size, **sections))
    return model.eval()


def noise(size: tuple[int, int], seed: int = 0) -> Tensor:
    return torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(2, 3, 4, 6), (1, 5, 3, 7), (3, 2, 5, 2)])
def test_a_map_is_slid_as_written_out(shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(1)
    kernel, cells = torch.randn(2, *shape, generator=generator, dtype=torch.float64)
    count, _, height, width = shape
    found = slid(kernel, cells)
    assert found.shape == (count, 2 * (height // 2) + 1, 2 * (width // 2) + 1)
    for down in range(-(height // 2), height // 2 + 1):
        for right in range(-(width // 2), width // 2 + 1):
            total = torch.zeros(count, dtype=torch.float64)
            for i in range(height):
                for j in range(width):
                    if 0 <= i + down < height and 0 <= j + right < width:
                        total += (kernel[:, :, i, j] * cells[:, :, i + down, j + right]).sum(1)
            at = found[:, down + height // 2, right + width // 2]
            torch.testing.assert_close(at, total, rtol=0, atol=1e-12)


def test_cells_count_by_the_share_that_the_target_covers() -> None:
    low, high = torch.tensor([12.0, -5.0, 30.0]), torch.tensor([40.0, 100.0, 31.0])
    found = covered(low, high, 4, 16)
    expected = [[0.25, 1, 0.5, 0], [1, 1, 1, 1], [0, 0.0625, 0, 0]]
    torch.testing.assert_close(found, torch.tensor(expected))


def test_a_template_s_weights_sum_to_one_inside_the_box_and_are_none_outside() -> None:
    model = patches()
    images = noise((64, 64))
    kernel = model.remember(images, torch.tensor([[20.0, 24.0, 44.0, 40.0]]))
    weights = kernel.norm(dim=1)[0]
    assert weights.sum() == pytest.approx(1, abs=1e-6)
    inside = torch.zeros(8, 8, dtype=torch.bool)
    inside[3:5, 2:6] = True
    assert ((weights > 0) == inside).all()
    assert weights[3, 2] == pytest.approx(float(weights[3, 3]) / 2)


@pytest.mark.parametrize("size", [(64, 64), (64, 96), (72, 56)])
@pytest.mark.parametrize("shift", [(0, 0), (16, -8), (-24, 8)])
def test_a_target_moved_by_whole_cells_is_found_exactly(
    size: tuple[int, int], shift: tuple[int, int]
) -> None:
    model = patches(size)
    height, width = size
    template = noise(size, 1)
    # Beside the target everything changes, so that the means of the maps do too.
    search = noise(size, 2)
    top, left = (height // 2 - 8) // 8 * 8, (width // 2 - 8) // 8 * 8
    target = template[:, :, top : top + 24, left : left + 24]
    down, right = shift
    search[:, :, top + down : top + down + 24, left + right : left + right + 24] = target
    box = torch.tensor([[left, top, left + 24, top + 24]]).float()
    scores, boxes = model.match(model.remember(template, box), search)
    best = boxes.reshape(-1, 4)[scores.flatten().argmax()]
    expected = [0.5 + right / width, 0.5 + down / height]
    torch.testing.assert_close(best[:2], torch.tensor(expected), rtol=0, atol=1e-6)
    assert scores.min() >= 0 and scores.max() <= 1
    assert scores.max() > 0.9


def test_no_displacement_is_one_of_those_looked_at_and_in_the_middle() -> None:
    for cells in ((4, 4), (5, 4), (3, 8)):
        found = places(cells, (1 / cells[0], 1 / cells[1]), 4, torch.device("cpu"))
        rows_, columns = found.shape[:2]
        assert found[rows_ // 2, columns // 2, :2].tolist() == [0.5, 0.5]
        assert rows_ % 2 == columns % 2 == 1
        torch.testing.assert_close(found[..., :2], 1 - found.flip(0, 1)[..., :2])


def test_maps_that_stick_out_of_the_image_are_measured_in_whole_cells() -> None:
    found = places((5, 5), (16 / 70, 16 / 70), 1, torch.device("cpu"))
    assert found[2, 3, 0] == pytest.approx(0.5 + 16 / 70)


def test_a_target_that_rests_does_not_drift() -> None:
    image = (noise((120, 160))[0].permute(1, 2, 0) * 255).byte().numpy()
    first = np.array([60.0, 50.0, 24.0, 24.0])
    (found,) = follow(patches(), batch([Painted([image] * 6)], [first]))
    np.testing.assert_allclose(rows.boxes(found), np.tile(first, (6, 1)), rtol=0, atol=1e-9)


def test_it_has_no_parameters_and_nothing_to_draw() -> None:
    encoder = plain()
    model = Correlation(encoder, given())
    before = encoder.parameters_sha256()
    assert {name.split(".")[0] for name in model.state_dict()} == {"backbone"}
    model.initialise(3)
    assert encoder.parameters_sha256() == before
    assert not model.trained


def test_templates_are_cut_as_search_images_are() -> None:
    model = Correlation(plain(), given(crop={"search_factor": 2.5, "min_side": 6.0}))
    assert model.template_view == (2.5, (64, 64), 6.0)


def test_of_a_hierarchical_encoder_the_map_of_the_stride_is_taken() -> None:
    encoder = small("swin")
    model = Correlation(encoder, given(encoder.input_size)).eval()
    number = [info.stride for info in encoder.feature_info].index(16)
    images = noise(encoder.input_size)
    with torch.no_grad():
        assert model.template(images).shape == encoder(images)[number].shape
    with pytest.raises(RecipeError, match=r"model\.stride"):
        Correlation(encoder, given(encoder.input_size, model={"stride": 5}))


def test_alone_or_together_boxes_agree() -> None:
    """To the last bit where this was written; products of other shapes may round otherwise."""
    made = [moving(length, seed) for seed, length in enumerate((6, 2, 9))]
    model = patches()
    frames, firsts = [each for each, _ in made], [boxes[0] for _, boxes in made]
    together = follow(model, batch(frames, firsts))
    for each, painted, first in zip(together, frames, firsts, strict=True):
        (alone,) = follow(model, batch([painted], [first]))
        np.testing.assert_allclose(rows.boxes(each), rows.boxes(alone), rtol=0, atol=1e-4)
        np.testing.assert_allclose(each["scores"], alone["scores"], rtol=0, atol=1e-5)
