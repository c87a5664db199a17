"""What holds for the shipped recipes of all objectives together."""

from pathlib import Path

import pytest

from harness import plugins
from harness.options import RunOptions
from harness.pretraining import OBJECTIVES
from harness.recipes import recipe_files, resolve
from tasks.pretraining.evidence import Evidence, Gate, enough


def tiny(objective: str):
    task = OBJECTIVES[objective]
    config = recipe_files(task)["tiny-mae"] if objective == "mae" else None
    return plugins.task(task), resolve(RunOptions(task=task, scale="tiny", config=config))


def test_all_begin_as_one_and_the_same_encoder() -> None:
    begun = {
        objective: task.encoder(recipe, seed=0).parameters_sha256()
        for objective, (task, recipe) in ((name, tiny(name)) for name in OBJECTIVES)
    }
    assert len(set(begun.values())) == 1
    task, recipe = tiny("mae")
    assert task.encoder(recipe, seed=1).parameters_sha256() not in begun.values()


def test_all_see_as_many_images_of_as_large_a_set() -> None:
    """SimMIM's file took its recipe's steps twice (provenance.json)."""
    steps = {name: tiny(name)[1].train for name in OBJECTIVES}
    seen = {name: train.steps * train.batch_size for name, train in steps.items()}
    seen["simmim"] *= 2
    assert set(seen.values()) == {204_800}
    assert {tiny(name)[1].data.training for name in OBJECTIVES} == {12_288}


@pytest.mark.parametrize(
    "setting", ["encoder.decoder_embed_dim=32", "encoder.start=a.pth", "backbone.drop_last=1"]
)
@pytest.mark.parametrize("objective", ["supervised", "contrastive"])
def test_settings_that_would_be_ignored_are_refused(objective: str, setting: str) -> None:
    options = RunOptions(task=OBJECTIVES[objective], scale="smoke", sets=(setting,))
    with pytest.raises(ValueError, match=setting.split("=")[0].split(".")[1]):
        resolve(options)


def test_gates_are_passed_on_their_own_side_only() -> None:
    assert Gate("less", 0.5, 0.6).passed and not Gate("less", 0.6, 0.6).passed
    assert Gate("more", 0.6, 0.6, reach=True).passed
    assert not Gate("more", 0.59, 0.6, reach=True).passed
    assert enough(512).passed and not enough(511).passed


class Two(Evidence):
    """One gate of each kind."""

    @property
    def gates(self) -> list[Gate]:
        return [Gate("a", 0.0, 1.0), Gate("b", 0.0, 1.0, reach=True)]

    def figures(self) -> dict[str, float]:
        return {"a": 0.0}

    def lines(self) -> list[str]:
        return []


def test_evidence_passes_with_all_its_gates() -> None:
    found = Two()
    assert not found.passed
    assert [gate["passed"] for gate in found.as_dict()["gates"]] == [True, False]


def test_the_recipes_of_a_task_lie_beside_it() -> None:
    for name in set(OBJECTIVES.values()):
        folder: Path = plugins.task(name).recipes
        assert {"smoke.yaml", "tiny.yaml"} <= {path.name for path in folder.iterdir()}
