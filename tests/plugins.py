"""Packages that offer something to the harness, installed for a test."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from harness.cli.main import call

EXAMPLE = Path(__file__).parent / "fixtures" / "plugin"
HOUSE = Path(__file__).parents[1]
ENCODERS, TASKS, FORMATS = "harness.backbones", "harness.tasks", "harness.formats"
BUILD = "import sys; from hatchling.build import build_wheel; build_wheel(sys.argv[1])"


def environment(*folders: Path) -> dict[str, str]:
    """In which a process sees the repository, the current packages and those folders."""
    places = os.pathsep.join(map(str, (*folders, HOUSE)))
    return os.environ | {"PYTHONPATH": places, "OMP_NUM_THREADS": "1"}


def install(source: Path, site: Path) -> None:
    """Build the package of a folder and unpack its wheel: an installation without dependencies,
    network and pip."""
    wheels = site.parent / "wheels"
    wheels.mkdir()
    command = [sys.executable, "-c", BUILD, str(wheels)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    (wheel,) = wheels.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(site)


def copy_example(folder: Path) -> Path:
    """The example as a stranger copies it, still without weights."""
    return Path(shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("__pycache__")))


def offer(site: Path, group: str, name: str, code: str, package: str = "") -> None:
    """Install by hand a package `package`, by default called as its entry point, of one module
    whose `name` is offered."""
    package = package or name
    (site / f"{package}_module.py").write_text(code)
    described = site / f"{package}-1.0.dist-info"
    described.mkdir()
    (described / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    point = f"[{group}]\n{name} = {package}_module:{name}\n"
    (described / "entry_points.txt").write_text(point)


def offer_more(site: Path, package: str, group: str, name: str) -> None:
    """Have a package of `offer` offer something else of its module too."""
    with (site / f"{package}-1.0.dist-info" / "entry_points.txt").open("a") as file:
        file.write(f"[{group}]\n{name} = {package}_module:{name}\n")


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What is said of a command that the user can mend: one line, exit code 2."""
    capsys.readouterr()
    assert call(words) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1, said
    return said


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What a command that ends well prints."""
    return both(capsys, *words)[0]


def both(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[str, str]:
    """What a command that ends well prints, and what it says beside that."""
    capsys.readouterr()
    assert call(words) == 0
    return capsys.readouterr()
