"""What can be said of an encoder in a recipe is what encoders take."""

from __future__ import annotations

from typing import get_args

from backbones.families.positions import RESIZES
from tasks.recipe import BackboneRecipe


def test_rules_for_position_tables_are_those_that_there_are() -> None:
    allowed, _ = get_args(BackboneRecipe.model_fields["position_resize"].annotation)
    assert get_args(allowed) == RESIZES


def test_a_layout_is_told_of_the_file() -> None:
    recipe = BackboneRecipe(input_size=(32, 32), format="dino_student")
    assert recipe.arch() == recipe.told() == {"format": "dino_student"}
