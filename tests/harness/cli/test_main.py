"""Finding commands, refusing what is none, and importing nothing that is not needed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from harness.cli.commands import COMMANDS
from harness.cli.main import call

HEAVY = ("torch", "timm", "lightning", "cv2", "mmpose", "sqlalchemy", "pyarrow", "pandas")


def modules_after(*arguments: str) -> set[str]:
    """The modules that are imported once a command has run."""
    code = (
        "import sys; from harness.cli.main import call; code = call(sys.argv[1:]);"
        "print('\\n'.join(['', *sys.modules]), file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    return set(done.stderr.split())


def test_help_imports_neither_torch_nor_a_command_line_library() -> None:
    modules = modules_after("--help")
    assert not modules & {*HEAVY, "typer", "rich", "pydantic", "yaml"}


@pytest.mark.parametrize("arguments", [["list", "tasks"], ["list", "backbones"], ["version"]])
def test_listing_imports_nothing_heavy(arguments: list[str]) -> None:
    modules = modules_after(*arguments)
    assert not modules & {*HEAVY, "rich", "pydantic"}


@pytest.mark.parametrize(
    "arguments", [["list", "backbones", "--family", "vit"], ["show", "backbone", "deit_vit_base"]]
)
def test_encoders_are_described_without_what_runs_them(arguments: list[str]) -> None:
    assert not modules_after(*arguments) & {*HEAVY, "rich"}


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["--help"]) == 0
    said = capsys.readouterr().out
    for name, command in COMMANDS.items():
        assert f"  {name} " in said
        assert command.help in said


def test_tasks_are_listed_with_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["list", "tasks"]) == 0
    lines = dict(line.split(None, 1) for line in capsys.readouterr().out.splitlines())
    assert {"pose", "pretraining"} <= lines.keys()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["rum"], "did you mean `run`"),
        (["run", "--scal", "tiny"], "--scale"),
        (["run", "--scale", "huge"], "'smoke', 'tiny', 'paper'"),
        (["run", "--seed", "x"], "--seed"),
        (["run", "--limit", "0"], "--limit"),
        (["run", "stray"], "stray"),
        (["run", "--task", "poze"], "did you mean `pose`"),
        (["explain", "poze"], "did you mean `pose`"),
        (["show", "recipe", "poze"], "did you mean `pose`"),
        (["show", "record", "nothing-here"], "harness results list"),
        (["list"], "harness list --help"),
        (["data", "prepare", "imagenet"], "--data-root"),
        (["data", "prepare", "nothing"], "harness list datasets"),
        (["study", "nothing.yaml"], "cannot read the study `nothing.yaml`"),
        (["backbone", "check", "nothing.pth"], "nothing.pth"),
    ],
)
def test_bad_arguments_are_one_line_and_exit_code_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert words in err
