"""Views: those of evaluation pixel by pixel, those of training by their parts and distributions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError
from timm.data import create_transform
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as transforms

from tasks.classification.augmentation import randaugment, views
from tasks.classification.augmentation.settings import AugmentationRecipe, CropRecipe
from tests.tasks.classification.augmentation.pictures import photograph

PUBLISHED = {
    "crop": {},
    "flip": 0.5,
    "rand_augment": {"magnitude": 9, "std": 0.5, "increasing": True},
    "erasing": {"probability": 0.25},
}
SHAPES = [(375, 500), (500, 375), (64, 64), (31, 97), (224, 224), (256, 300), (1, 1), (341, 256)]


def recipe(**changes: Any) -> AugmentationRecipe:
    return AugmentationRecipe.model_validate(PUBLISHED | changes)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size, whole", [(224, 256), (192, 219), (64, 73)])
def test_test_views_are_torchvisions(
    size: int, whole: int, shape: tuple[int, int], interpolation: str
) -> None:
    image = photograph(*shape)
    resized = transforms.resize(Image.fromarray(image), whole, InterpolationMode(interpolation))
    expected = np.asarray(transforms.center_crop(resized, [size, size]))
    ours = views.test_view(image, (size, size), 0.875, interpolation)
    assert np.array_equal(ours, expected)


@pytest.mark.parametrize("share", [0.875, 0.9, 1.0])
@pytest.mark.parametrize("size", [(224, 224), (96, 128), (128, 96)])
@pytest.mark.parametrize("shape", SHAPES)
def test_test_views_are_timms(shape: tuple[int, int], size: tuple[int, int], share: float) -> None:
    image = photograph(*shape)
    whole = create_transform(size, interpolation="bicubic", crop_pct=share, normalize=False)
    expected = whole(Image.fromarray(image)).permute(1, 2, 0).numpy()
    assert np.array_equal(views.test_view(image, size, share, "bicubic"), expected)


def test_a_share_of_one_resizes_the_shorter_side_to_the_view() -> None:
    assert views.resized_size((300, 500), (224, 224), 1.0) == (224, 373)
    assert views.resized_size((500, 300), (224, 224), 0.875) == (426, 256)
    assert views.resized_size((300, 600), (200, 100), 1.0) == (200, 400)


def test_training_views_depend_on_their_arguments_alone() -> None:
    image, asked = photograph(90, 120), recipe()
    before = image.copy()
    seen = []
    for seed in range(30):
        views_ = [
            views.train_view(image, (48, 40), asked, np.random.default_rng(seed)) for _ in range(2)
        ]
        (view, erase), (again, same) = views_
        assert view.shape == (48, 40, 3) and view.dtype == np.uint8 and view.flags.c_contiguous
        assert erase.shape == (1, 4) and erase.dtype == np.int64
        assert np.array_equal(view, again) and np.array_equal(erase, same)
        seen.append(view)
    assert np.array_equal(image, before)
    assert len({view.tobytes() for view in seen}) == 30


def test_crops_come_first_then_the_mirror_then_randaugment() -> None:
    image = photograph(90, 120)
    asked = recipe(flip=1.0)
    size = (48, 40)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        assert asked.crop is not None and asked.rand_augment is not None
        crop = views.random_crop((90, 120), asked.crop.scale, asked.crop.ratio, rng)
        expected = views.cut(image, crop, size, "bicubic")[:, ::-1]
        rng.random()
        expected = randaugment.augment(
            np.ascontiguousarray(expected), asked.rand_augment, "bicubic", rng
        )
        view, _ = views.train_view(image, size, asked, np.random.default_rng(seed))
        assert np.array_equal(view, expected)


def test_half_of_the_views_are_mirrored() -> None:
    image = photograph(32, 32)
    asked = AugmentationRecipe(flip=0.5)
    assert not views.fixed(asked)
    rng = np.random.default_rng(0)
    seen = [views.train_view(image, (32, 32), asked, rng)[0] for _ in range(400)]
    mirrored = sum(np.array_equal(view, image[:, ::-1]) for view in seen)
    assert mirrored + sum(np.array_equal(view, image) for view in seen) == 400
    assert abs(mirrored - 200) < 4 * 10


def test_without_augmentation_training_views_are_the_test_views() -> None:
    nothing, image = AugmentationRecipe(), photograph(60, 80)
    assert views.fixed(nothing)
    rng = np.random.default_rng(0)
    for share in (0.875, 1.0):
        view, erase = views.train_view(image, (48, 48), nothing, rng, share)
        assert np.array_equal(view, views.test_view(image, (48, 48), share, "bicubic"))
        assert erase.shape == (0, 4)
    assert rng.random() == np.random.default_rng(0).random()


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_any_augmentation_moves_the_views(name: str) -> None:
    assert not views.fixed(AugmentationRecipe.model_validate({name: PUBLISHED[name]}))


def test_ranges_have_to_be_ordered() -> None:
    with pytest.raises(ValidationError, match=r"augmentation\.crop\.scale.*0\.9, 0\.1"):
        CropRecipe(scale=(0.9, 0.1))
    with pytest.raises(ValidationError, match=r"augmentation\.erasing\.area"):
        recipe(erasing={"probability": 1.0, "area": [0.5, 0.1]})


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_torchs_crops_are_almost_pillows(interpolation: str) -> None:
    """The same crops of the same draws; rounding alone differs."""
    given = {"crop": {}, "interpolation": interpolation}
    image = photograph(375, 500)
    ours, theirs = (
        AugmentationRecipe.model_validate(given | {"resampler": name})
        for name in ("torch", "pillow")
    )
    for seed in range(8):
        fast, exact = (
            views.train_view(image, (224, 160), asked, np.random.default_rng(seed))[0].astype(int)
            for asked in (ours, theirs)
        )
        assert np.abs(fast - exact).max() <= 1
        assert (fast != exact).mean() < 0.01
    dot = views.train_view(photograph(1, 1), (32, 32), ours, np.random.default_rng(0))[0]
    assert (dot == photograph(1, 1)).all()
