"""What can be said of an encoder in a recipe is what encoders take."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest
from pydantic import ValidationError

from backbones.families import family
from backbones.families.positions import RESIZES
from backbones.families.swinv2_arch import VARIANTS
from backbones.families.vit_arch import CHOICES
from tasks.recipe import BackboneRecipe

HOUSE = Path(__file__).parents[2]


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


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [("vit", "act", "quick_gelu"), ("vit", "patch_padding", 0), ("swin", "pad_small_maps", False)],
)
def test_what_networks_do_under_one_name_in_two_ways(
    kind: str, field: str, value: str | int | bool
) -> None:
    recipe = BackboneRecipe.model_validate({"input_size": (32, 32), field: value})
    assert recipe.arch() == recipe.told() == {field: value}
    assert field in family(kind).keys


def test_windows_are_one_number_or_one_a_stage() -> None:
    recipe = BackboneRecipe.model_validate({"input_size": (32, 32), "window_size": [8, 8, 8, 4]})
    assert recipe.arch() == {"window_size": (8, 8, 8, 4)} and recipe.told() == {}
    one = BackboneRecipe.model_validate({"input_size": (32, 32), "window_size": 7})
    assert one.model_dump(mode="json")["window_size"] == 7
    for wrong in (0, [8, 0], [], True, "x"):
        with pytest.raises(ValidationError, match="a whole number from 1, or one for each stage"):
            BackboneRecipe.model_validate({"input_size": (32, 32), "window_size": wrong})


def test_variants_are_those_that_there_are() -> None:
    allowed, _ = get_args(BackboneRecipe.model_fields["variant"].annotation)
    assert get_args(allowed) == VARIANTS
    recipe = BackboneRecipe(input_size=(32, 32), variant="mim_depth")
    assert recipe.arch() == {"variant": "mim_depth"} and recipe.told() == {}


def test_activations_are_those_that_there_are() -> None:
    allowed, _ = get_args(BackboneRecipe.model_fields["act"].annotation)
    assert get_args(allowed) == CHOICES["act"]


def test_whatever_pages_and_messages_tell_to_set_can_be_set() -> None:
    written = [*HOUSE.glob("docs/*.md"), *HOUSE.glob("backbones/**/*.py"), *HOUSE.glob("*.md")]
    fields = {
        field: path.name
        for path in written
        for field in re.findall(r"backbone\.(\w+)=", path.read_text(encoding="utf-8"))
    }
    fields |= {
        key: path.name
        for path in HOUSE.glob("backbones/**/*.py")
        for key in re.findall(r"\bask\(\s*\"(\w+)\"", path.read_text(encoding="utf-8"))
    }
    assert len(fields) > 8
    unknown = fields.keys() - BackboneRecipe.model_fields.keys() - {"FIELD"}
    assert not unknown, {name: fields[name] for name in unknown}
