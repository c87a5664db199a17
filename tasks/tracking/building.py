"""The model that a recipe asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backbones import Backbone
    from tasks.tracking.matching import Matcher
    from tasks.tracking.recipe import TrackingRecipe


def build(backbone: Backbone, recipe: TrackingRecipe) -> Matcher:
    """Return the trained fusion, or the correlation without parameters.

    Raises:
        RecipeError: the encoder and the recipe do not go together.
    """
    if recipe.model.type == "correlation":
        from tasks.tracking.correlation import Correlation

        return Correlation(backbone, recipe)
    from tasks.tracking.model import SwinTrackModel

    return SwinTrackModel(backbone, recipe)
