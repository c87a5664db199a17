"""Heads that follow from the encoder: comparable under one rule, not under two."""

from typing import Any

import pytest

from harness import recipes
from results import Record, ResultsError
from results.compare import compare
from results.report import sections
from tasks.pose.fitting import fit
from tests.results.records import make, sha
from tests.tasks.pose.folders import recipe


def run(backbone: str, stride: int, seed: int, value: float, **head: Any) -> Record:
    """As the engine records a run: identity from what was asked, recipe what was in force."""
    given = recipe("tiny")
    asked = given.model_copy(update={"head": given.head.model_copy(update=head)})
    fitted, derived = fit(asked, stride)
    base = make(backbone, seed, value, 0.002)
    identity = base.identity | {"recipe": recipes.determining(asked)}
    return Record.model_validate(
        base.model_dump(mode="json")
        | {
            "cell": sha(f"{backbone} {identity}"),
            "identity": identity,
            "recipe": fitted.model_dump(mode="json"),
            "derived": list(derived),
        }
    )


def runs(backbone: str, stride: int, value: float, **head: Any) -> list[Record]:
    return [run(backbone, stride, seed, value + seed / 100, **head) for seed in range(3)]


SIMMIM, SWIN = runs("simmim", 16, 0.3), runs("swin", 32, 0.4)


def test_what_was_in_force_differs_and_is_told() -> None:
    vit, swin = SIMMIM[0], SWIN[0]
    assert vit.recipe["head"]["deconv_channels"] == [64, 64]
    assert swin.recipe["head"]["deconv_channels"] == [64, 64, 64]
    assert "3 deconvolutions" in swin.derived[0] and "stride is 32" in swin.derived[0]


def test_one_rule_is_one_setting() -> None:
    found = compare(SWIN, SIMMIM)
    assert found.difference.mean == pytest.approx(0.1) and found.separated
    (section,) = sections([*SIMMIM, *SWIN])
    assert [(rank, entry.name) for rank, entry in section.ranked] == [(1, "swin"), (2, "simmim")]
    assert not section.unranked


@pytest.mark.parametrize(
    ("head", "words"),
    [
        ({"channels": 32}, "recipe.head.deconv_channels"),
        ({"type": "simple"}, "recipe.head.type"),
        ({"norm": "fixed"}, "recipe.head.norm"),
    ],
)
def test_another_rule_is_another_setting(head: dict[str, Any], words: str) -> None:
    other = runs("swin", 32, 0.4, **head)
    with pytest.raises(ResultsError, match=words):
        compare(other, SIMMIM)
    (section,) = sections([*SIMMIM, *other])
    assert len(section.ranked) == 1 and words in section.unranked[0][3]


def test_deconvolutions_listed_as_the_rule_lists_them_are_the_same_setting() -> None:
    """Records from before the rule, of encoders of stride 16, stay comparable."""
    listed = runs("other", 16, 0.2, deconv_channels=(64, 64), deconv_kernels=(4, 4))
    assert compare(listed, SIMMIM).difference.mean == pytest.approx(-0.1)
