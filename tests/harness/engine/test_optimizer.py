"""Factors of the recipe on the rate of single parameters."""

from pathlib import Path

import pytest

from harness.console import Console
from harness.engine.optimizer import placements
from harness.engine.run import run
from harness.recipes import resolve
from tasks.contract import RecipeError
from tests.harness.engine import toy

PLAIN = {"first.weight", "norm.weight", "norm.bias", "second.weight", "second.bias"}


def factors(folder: Path, given: str) -> dict[str, float]:
    recipe = resolve(toy.options(folder, given))
    model = toy.ToyModel(toy.ToyEncoder(5))
    return {name: place.scale for name, place in placements(model, recipe).items()}


def test_a_factor_is_for_the_parameters_whose_names_end_so(tmp_path: Path) -> None:
    """On top of layer-wise decay; `first.weight` is no end of `backbone.xfirst.weight`."""
    before = factors(tmp_path, "optimizer.rate_factors={}")
    after = factors(tmp_path, "optimizer.rate_factors={first.weight: 80, norm.bias: 0.5}")
    raised = {"backbone.first.weight": 80, "backbone.norm.bias": 0.5}
    assert after == {name: value * raised.get(name, 1) for name, value in before.items()}
    assert set(before) > {f"backbone.{name}" for name in PLAIN}


@pytest.mark.parametrize(("rule", "decayed"), [("simmim", False), ("vitdet", True)])
def test_whether_a_heads_bias_decays_is_the_rules_to_say(
    rule: str, decayed: bool, tmp_path: Path
) -> None:
    """detectron2 spares none of ViTDet's; most codes spare all vectors."""
    recipe = resolve(toy.options(tmp_path, f"optimizer.layer_rule={rule}"))
    places = placements(toy.ToyModel(toy.ToyEncoder(5)), recipe)
    assert places["head.bias"].decays is decayed and places["head.weight"].decays


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("{irst.weight: 2}", "no trained parameter's name ends with `irst.weight`"),
        ("{bias: 2, norm.bias: 3}", r"two are for `backbone\.norm\.bias`"),
    ],
)
def test_a_factor_for_nothing_or_twice_is_refused(given: str, words: str, tmp_path: Path) -> None:
    """Before anything is kept of the run."""
    with pytest.raises(RecipeError, match=words):
        run(toy.options(tmp_path, f"optimizer.rate_factors={given}"), Console(quiet=True))
    assert not list(tmp_path.rglob("record.json"))


def test_a_factor_on_the_encoder(tmp_path: Path) -> None:
    """On top of layer-wise decay and of factors on single parameters; not on the head."""
    before = factors(tmp_path, "optimizer.rate_factors={norm.bias: 3}")
    given = ("optimizer.rate_factors={norm.bias: 3}", "optimizer.encoder_factor=0.1")
    recipe = resolve(toy.options(tmp_path, *given))
    after = placements(toy.ToyModel(toy.ToyEncoder(5)), recipe)
    for name, place in after.items():
        factor = 0.1 if name.startswith("backbone.") else 1
        assert place.scale == pytest.approx(factor * before[name], rel=1e-12), name


def test_everything_decays_where_it_is_told_to(tmp_path: Path) -> None:
    for told in (False, True):
        recipe = resolve(toy.options(tmp_path, f"optimizer.decay_all={str(told).lower()}"))
        places = placements(toy.ToyModel(toy.ToyEncoder(5)), recipe)
        assert all(place.decays for place in places.values()) is told
        assert places["head.bias"].decays is told


def test_without_factors_the_cell_is_the_one_before_there_were_any(tmp_path: Path) -> None:
    from harness.recipes import determining

    recipe = resolve(toy.options(tmp_path))
    later = {"rate_factors", "encoder_factor", "decay_all"}
    assert not later & determining(recipe)["optimizer"].keys()
    raised = resolve(toy.options(tmp_path, "optimizer.rate_factors={first.weight: 2}"))
    assert determining(raised)["optimizer"]["rate_factors"] == {"first.weight": 2.0}
