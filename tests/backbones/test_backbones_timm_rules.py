"""By whose rule the position table of a ViT under timm's name goes to another size."""

import pytest

from backbones.timm_names import architecture

ASKED = {"position_resize": None}


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("vit_base_patch16_224.mae", ASKED),
        ("vit_base_patch16_224.orig_in21k", ASKED),
        # Left to the file: a classifier is timm's own training, no classifier DINO's.
        ("vit_base_patch16_224.augreg_in1k", {}),
        ("vit_small_patch16_224.dino", {}),
        ("vit_small_patch14_dinov2.lvd142m", {}),
        ("vit_base_patch14_reg4_dinov2.lvd142m", {}),
    ],
)
def test_only_what_nothing_tells_is_asked_for(name: str, told: dict[str, None]) -> None:
    found = {key: value for key, value in architecture(name).items() if key in ASKED}
    assert found == told
