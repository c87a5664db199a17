"""What `harness pretrain` keeps of a training, and what it refuses before one."""

import shlex
from pathlib import Path

import pytest

from harness.cli.pretrain import as_command
from harness.console import Console
from harness.errors import UserError
from harness.options import RunOptions
from harness.pretraining import _images_seen, pretrain
from harness.recipes import backbone_arch, determining, recipe_files, resolve
from tasks.contract import RecipeError


def options(*sets: str) -> RunOptions:
    return RunOptions(backbone="new", task="pretraining", scale="smoke", sets=sets)


def test_the_kept_command_names_no_path_of_the_package() -> None:
    shipped = recipe_files("pretraining")["paper-mae"]
    asked = RunOptions(task="pretraining", scale="paper", config=shipped, sets=("a.b=[1, 2]",))
    words = shlex.split(as_command(asked, "mae", None, "name", Path("out")))
    assert words[:6] == ["harness", "pretrain", "--objective", "mae", "--scale", "paper"]
    assert str(shipped) not in words
    assert words[words.index("--set") + 1] == "a.b=[1, 2]"
    own = as_command(asked, "simmim", Path("mine.yaml"), "name", Path("out"))
    assert "--config mine.yaml" in own


def test_an_output_that_cannot_be_made_is_found_before_training(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="choose another folder with --output"):
        pretrain(options(), "name", tmp_path / "file", "command", Console())
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_views_of_all_trainings_are_counted() -> None:
    first = {"images_seen": 100}
    second = {"images_seen": 20, "start": {"sha256": "a", "provenance": first}}
    assert _images_seen({"sha256": "b", "provenance": second}) == 120
    assert _images_seen({"sha256": "b", "provenance": None}) == 0
    assert _images_seen(None) == 0


def test_a_start_is_known_by_its_content_alone() -> None:
    here, there = (resolve(options(f"encoder.start={place}")) for place in ("a.pth", "b/c.pth"))
    assert determining(here) == determining(there)


@pytest.mark.parametrize(
    ("assignment", "said"),
    [("backbone.drop_last=1", "encoder.depth"), ("backbone.num_heads=3", "under `encoder`")],
)
def test_what_would_be_ignored_is_refused(assignment: str, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        resolve(options(assignment))
    assert backbone_arch(["backbone.num_heads=3", "backbone.mean=[0.5, 0.5, 0.5]"]) == {
        "num_heads": 3,
        "mean": (0.5, 0.5, 0.5),
    }
    with pytest.raises(RecipeError, match="num_heads"):
        backbone_arch(["backbone.heads=3"])
