from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from harness.features import FeatureError
from harness.features.key import FeatureKey, software
from tests.harness.features.sets import KEY

CHANGES: list[dict[str, Any]] = [
    {"encoder": "f" * 64},
    {"arch": {"family": "vit", "input_size": (64, 64)}},
    {"data": "c" * 64},
    {"transform": {"resize": 36, "crop": 28}},
    {"outputs": ("pooled", "map1")},
    {"dtype": "float16"},
    {"precision": "bf16"},
    {"software": {"torch": "2.6"}},
    {"format": 2},
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
def test_whatever_decides_the_values_makes_another_key(change: Mapping[str, Any]) -> None:
    assert replace(KEY, **change).sha256(10) != KEY.sha256(10)


def test_every_field_of_the_key_was_changed() -> None:
    assert {next(iter(change)) for change in CHANGES} == set(FeatureKey.__dataclass_fields__)


def test_a_part_of_a_split_is_another_set() -> None:
    assert KEY.sha256(10) != KEY.sha256(11)


def test_how_a_key_was_put_together_does_not_matter() -> None:
    arch = {"input_size": [32, 32], "family": "vit"}
    same = replace(KEY, arch=arch, outputs=("map0", "pooled"))
    assert same.sha256(10) == KEY.sha256(10)


def test_the_versions_go_in_without_fix_releases() -> None:
    assert {"torch", "timm", "pillow", "encoder-harness"} <= set(software())
    # It warps what pose shows to an encoder, and decodes.
    assert "opencv-python-headless" in software()
    assert all(version.count(".") == 1 for version in software().values())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"dtype": "int8"}, "float32, float16, bfloat16, not as `int8`"),
        ({"outputs": ()}, "different outputs"),
        ({"outputs": ("pooled", "pooled")}, "different outputs"),
    ],
)
def test_what_no_key_can_be(change: dict[str, Any], said: str) -> None:
    with pytest.raises(FeatureError, match=said):
        replace(KEY, **change)
