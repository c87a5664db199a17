"""What in a recipe follows from the stride of an encoder."""

import pytest

from harness.recipes import determining
from tasks.contract import RecipeError
from tasks.pose.fitting import fit
from tests.tasks.pose.folders import recipe

CASES = {
    4: ((128, 128), 0, (32, 32)),
    8: ((128, 128), 1, (32, 32)),
    14: ((126, 126), 2, (36, 36)),
    16: ((128, 128), 2, (32, 32)),
    32: ((128, 128), 3, (32, 32)),
}


@pytest.mark.parametrize("stride", CASES)
def test_head_and_sizes(stride: int) -> None:
    fitted, said = fit(recipe("smoke"), stride)
    size, deconvolutions, maps = CASES[stride]
    assert fitted.backbone.input_size == size and fitted.codec.heatmap_size == maps
    assert fitted.head.deconv_channels == (32,) * deconvolutions
    assert any("deconvolutions" in line for line in said)
    assert fit(fitted, stride)[0] == fitted


def test_listed_deconvolutions_win() -> None:
    given = recipe("smoke")
    listed = given.model_copy(update={"head": given.head.with_deconvolutions(2)})
    assert fit(listed, 16) == (listed, ())
    with pytest.raises(RecipeError, match="16x16"):
        fit(listed, 32)


def test_the_rule_enters_the_identity_as_it_was_listed() -> None:
    given = recipe("tiny")
    assert determining(given)["head"] == {
        "loss": "cross_entropy",
        "deconv_channels": [64, 64],
        "deconv_kernels": [4, 4],
    }
