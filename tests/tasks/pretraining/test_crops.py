"""Views for pre-training look at the middle of the image alone."""

import numpy as np

from tasks.pretraining import crops
from tasks.pretraining.recipe import AugmentationRecipe


def test_only_the_middle_is_looked_at() -> None:
    """In training and in evaluation alike; the border is white and must never be seen."""
    image = np.full((100, 100, 3), 255, np.uint8)
    image[25:75, 25:75] = np.random.default_rng(0).integers(0, 200, (50, 50, 3))
    recipe = AugmentationRecipe(scale=(0.3, 1.0), centre=0.5)
    seen = [crops.view(image, recipe, (50, 50), None)]
    seen += [crops.view(image, recipe, (50, 50), np.random.default_rng(k)) for k in range(50)]
    assert np.array_equal(seen[0], image[25:75, 25:75])
    assert max(view.max() for view in seen) < 200
    assert np.array_equal(crops.middle(image, 1.0), image)
