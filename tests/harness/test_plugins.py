"""Encoders and tasks of other packages: the example that docs/plugins.md leads through, and ones
that break the contract or cannot be imported."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import backbones
from backbones.outside import listing
from harness import plugins
from harness.errors import UserError

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "tests/fixtures/plugin"
BUILD = "import mycnn; mycnn.train(); from hatchling.build import build_wheel; build_wheel('dist')"


def python(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run Python with the installed example and the repository on its path."""
    path = os.pathsep.join([str(folder / "installed"), str(ROOT)])
    environment = os.environ | {
        "PYTHONPATH": path,
        "HARNESS_CACHE": str(folder / "cache"),
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example built as a wheel and unpacked, as pip would do it, without network."""
    folder = tmp_path_factory.mktemp("plugin")
    source = folder / "source"
    shutil.copytree(EXAMPLE, source, ignore=shutil.ignore_patterns("__pycache__"))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(source), str(ROOT)])}
    subprocess.run([sys.executable, "-c", BUILD], cwd=source, env=environment, check=True)
    (wheel,) = (source / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "installed")
    return folder


def test_the_example_keeps_the_contract(installed: Path) -> None:
    code = "from harness.testing import check_encoder; check_encoder('mycnn')"
    done = python(installed, "-c", code)
    assert done.returncode == 0, done.stderr


def test_the_example_is_listed(installed: Path) -> None:
    done = python(installed, "-m", "harness.cli.main", "list", "backbones")
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if "mycnn" in line]
    about = "Small convolutional encoder, weights of seed 0."
    assert line.split(maxsplit=3) == ["mycnn", "mycnn", "0.1.0", about]


def test_the_example_runs(installed: Path) -> None:
    words = ["run", "--backbone", "mycnn", "--task", "pose", "--scale", "smoke", "--workers", "0"]
    done = python(installed, "-m", "harness.cli.main", *words, "--json")
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["status"] == "finished"
    assert record["backbone"]["name"] == "mycnn"
    assert record["encoder_at_step0"]["equals_file"] is True
    # Its code decides the features as well: another version is another cell.
    assert record["identity"]["backbone"]["package"] == "mycnn 0.1.0"


BROKEN = '''
import torch
from mycnn import MyCnn, SPEC
from dataclasses import replace


def _encoder(name, size=(64, 64)):
    made = MyCnn(size)
    made.spec = replace(SPEC, name=name)
    made.initialise(0)
    return made


def good(input_size=(64, 64)):
    """Nothing is wrong with this one."""
    return _encoder("good", input_size)


def nobackbone():
    return torch.nn.Linear(3, 3)


def wrongmaps():
    made = _encoder("wrongmaps")
    made.feature_info = tuple(i._replace(channels=i.channels + 1) for i in made.feature_info)
    return made


def wrongpooled():
    made = _encoder("wrongpooled")
    made.pooled = lambda images: made.encode(images)
    return made


def nolayers():
    made = _encoder("nolayers")
    made.layer_ids = lambda rule=None: {}
    return made


def strangers():
    made = _encoder("strangers")
    made.extra = torch.nn.Linear(2, 2)
    return made


def drawn():
    made = _encoder("drawn")
    torch.nn.init.normal_(made.encoder[0][0].weight)
    return made


def noisy():
    made = _encoder("noisy")
    plain = made.encode
    made.encode = lambda images: plain(images) + torch.rand(1)
    return made


def misnamed():
    return _encoder("somebody")


def fails():
    raise RuntimeError("no such disk\\nat all")


def mae(input_size=None):
    return _encoder("mae")


class Half:
    name = "half"


def notask():
    return Half()
'''
POINTS = """[harness.backbones]
{encoders}
broken = nowhere_to_be_found:encoder

[harness.tasks]
lost = nowhere_to_be_found:Task
half = bad:notask
"""
NAMES = (
    *("good", "nobackbone", "wrongmaps", "wrongpooled", "nolayers", "strangers"),
    *("drawn", "noisy", "misnamed", "fails", "mae"),
)


@pytest.fixture
def bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package of encoders that break the contract, each at one point, beside the example's."""
    (tmp_path / "bad.py").write_text(BROKEN)
    points = POINTS.format(encoders="\n".join(f"{name} = bad:{name}" for name in NAMES))
    said = tmp_path / "bad-0.3.dist-info"
    said.mkdir()
    (said / "METADATA").write_text("Metadata-Version: 2.1\nName: bad\nVersion: 0.3\n")
    (said / "entry_points.txt").write_text(points)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.syspath_prepend(str(EXAMPLE))
    monkeypatch.delitem(sys.modules, "bad", raising=False)


@pytest.mark.parametrize(
    ("name", "point"),
    [
        ("nobackbone", "it is a Backbone, got Linear"),
        ("wrongmaps", r"a map is \(1, 17, 32, 32\), got \(1, 16, 32, 32\)"),
        ("wrongpooled", r"pooled gives \(B,C\)"),
        ("nolayers", "layer_ids numbers every parameter"),
        ("strangers", r"parameters are named encoder.*not so extra\.weight"),
        ("drawn", "it has the same weights each time it is loaded"),
        ("noisy", "the same images give the same features"),
        ("misnamed", "spec.name is the name that it is offered under"),
        ("fails", r"fails when it is loaded \(RuntimeError: no such disk\)"),
        ("broken", r"cannot be imported \(ModuleNotFoundError"),
        ("mae", "has a name that is taken"),
    ],
)
def test_the_point_that_is_broken_is_named(bad: None, name: str, point: str) -> None:
    with pytest.raises(backbones.LoadError, match=point) as caught:
        backbones.load(name)
    assert "\n" not in str(caught.value)
    assert f"`{name}` of the package bad 0.3" in str(caught.value)


def test_one_that_breaks_nothing_loads_beside_them(bad: None) -> None:
    backbone = backbones.load("good", input_size=96)
    assert backbone.input_size == (96, 96)
    with pytest.raises(backbones.LoadError, match="has no drop_last, which is to be 1"):
        backbones.load("good", drop_last=1)
    with pytest.raises(backbones.LoadError, match="did you mean good"):
        backbones.load("goood")


def test_what_cannot_be_had_does_not_break_the_list(
    bad: None, capsys: pytest.CaptureFixture[str]
) -> None:
    found = {name: about for name, _, about in listing()}
    assert found["good"] == "Nothing is wrong with this one."
    assert found["broken"].startswith("cannot be used: `broken` of the package bad 0.3")
    assert found["mae"].startswith("cannot be used")
    from harness.cli.main import call

    assert call(["list", "backbones"]) == 0
    assert "cannot be imported" in capsys.readouterr().out
    assert call(["list", "tasks"]) == 0
    out = capsys.readouterr().out
    assert "lost" in out and "cannot be used" in out
    assert backbones.load("simmim_vit_micro").spec.name == "simmim_vit_micro"


def test_refused_in_one_line_with_exit_code_2(
    bad: None, capsys: pytest.CaptureFixture[str]
) -> None:
    from harness.cli.main import call

    for words in (
        ["run", "--backbone", "wrongpooled", "--task", "pose", "--scale", "smoke", "--dry-run"],
        ["run", "--task", "lost", "--scale", "smoke"],
        ["run", "--task", "half", "--scale", "smoke"],
        ["backbone", "check", "good"],
        ["show", "backbone", "good"],
    ):
        assert call(words) == 2, words
        said = capsys.readouterr().err.strip().splitlines()
        assert len([line for line in said if line.startswith("error: ")]) == 1
        assert said[-1].startswith("error: "), said


def test_a_task_is_refused_by_the_point_that_it_breaks(bad: None) -> None:
    with pytest.raises(UserError, match="it is a Task, got Half"):
        plugins.task("half")
    with pytest.raises(UserError, match="cannot be imported"):
        plugins.task("lost")
