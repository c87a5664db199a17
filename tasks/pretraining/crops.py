"""Views of images for pre-training: a random crop and its mirror image, or the middle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.crops import Size, central_crop, cut, random_crop

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tasks.pretraining.settings import AugmentationRecipe


def middle(image: NDArray[np.uint8], share: float) -> NDArray[np.uint8]:
    """The central part of `image` (H,W,3) with `share` of each side."""
    height, width = image.shape[0], image.shape[1]
    h, w = max(1, round(height * share)), max(1, round(width * share))
    top, left = (height - h) // 2, (width - w) // 2
    return image[top : top + h, left : left + w]


def view(
    image: NDArray[np.uint8],
    recipe: AugmentationRecipe,
    size: Size,
    rng: np.random.Generator | None,
) -> NDArray[np.uint8]:
    """A view of the middle of `image` (H,W,3) at `size` (height, width): with a generator a random
    crop of it, perhaps mirrored; with None its largest central part."""
    image = middle(image, recipe.centre)
    whole = image.shape[0], image.shape[1]
    if rng is None:
        return cut(image, central_crop(whole, size[1] / size[0]), size, recipe.interpolation)
    crop = random_crop(whole, recipe.scale, recipe.ratio, rng)
    seen = cut(image, crop, size, recipe.interpolation)
    return seen[:, ::-1] if rng.random() < recipe.flip else seen
