"""What can be said of an encoder in a recipe is what encoders take."""

from __future__ import annotations

from typing import get_args

from backbones.families import family
from backbones.families.positions import RESIZES
from tasks.recipe import BackboneRecipe


def test_rules_for_position_tables_are_those_that_there_are() -> None:
    allowed, _ = get_args(BackboneRecipe.model_fields["position_resize"].annotation)
    assert get_args(allowed) == RESIZES


def test_a_layout_is_told_of_the_file() -> None:
    recipe = BackboneRecipe(input_size=(32, 32), format="dino_student")
    assert recipe.arch() == recipe.told() == {"format": "dino_student"}


def test_what_files_of_rotary_encoders_and_hieras_do_not_tell() -> None:
    recipe = BackboneRecipe(input_size=(32, 32), rope_grid=(24, 24), reg_tokens=0, q_pool=2)
    assert recipe.arch() == {"rope_grid": (24, 24), "reg_tokens": 0, "q_pool": 2}
    assert recipe.told() == {"rope_grid": [24, 24], "reg_tokens": 0, "q_pool": 2}
    assert recipe.told().keys() <= family("eva").keys | family("hiera").keys
