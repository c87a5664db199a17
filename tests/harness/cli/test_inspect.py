"""`harness inspect` as a user calls it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.analysis import keeping
from harness.analysis.rows import Found
from harness.cli.main import call
from results import Record, Table
from tests.harness.engine.families import CASES, saved

N = 6
MEASURES = ("attention", "similarity", "spectrum")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(0)
    for i in range(N):
        pixels = random.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((140, 140), Image.Resampling.BICUBIC).save(root / f"{i}.png")
    return root


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("files")
    return {name: saved(name, root) for name in CASES}


def inspect(output: Path, images: Path, *words: str | Path) -> int:
    asked = [str(word) for word in words]
    return call(["inspect", *asked, "--images", str(images), "--output", str(output)])


def looks(output: Path) -> dict[str, tuple[Record, Found]]:
    """Measure, with the encoders' names in front, -> record and what was found."""
    found = {}
    for record in Table(output / "results.sqlite", create=False).records():
        (folder,) = (output / "inspection").glob(f"*/{record.cell[:12]}")
        name = f"{record.backbone['name']} {record.protocol} {record.variant}"
        found[name] = record, keeping.read(record, folder)
    return found


def measured(*names: str) -> list[str]:
    return [word for name in names for word in ("--measure", name)]


@pytest.mark.parametrize("family", ["vit16", "beit", "eva", "swin", "swinv2", "hiera"])
def test_every_family_with_attention_is_looked_into(
    family: str, files: dict[str, Path], images: Path, tmp_path: Path
) -> None:
    assert inspect(tmp_path, images, files[family], *measured(*MEASURES)) == 0
    found = looks(tmp_path)
    assert {record.kind for record, _ in found.values()} == {"inspection"}
    assert {record.protocol for record, _ in found.values()} == set(MEASURES)
    for record, what in found.values():
        assert record.primary in record.metrics
        assert all(row.n == N and np.isfinite(row.value) for row in what.rows)
    page = (tmp_path / "inspection" / "README.md").read_text()
    assert family in page
    for suffix in ("png", "svg"):
        assert list((tmp_path / "inspection").rglob(f"*.{suffix}"))


def test_the_same_values_whatever_the_batch_size_and_the_processes(
    files: dict[str, Path], images: Path, tmp_path: Path
) -> None:
    pair = (files["beit"], files["vit16"], *measured(*MEASURES))
    ways = {"1": ("--batch-size", "1"), "16": (), "two": ("--workers", "2")}
    for name, words in ways.items():
        assert inspect(tmp_path / name, images, *pair, *words) == 0
    whole = looks(tmp_path / "16")
    assert len(whole) == 7
    for name in ("1", "two"):
        other = looks(tmp_path / name)
        assert other.keys() == whole.keys()
        for key, (record, what) in whole.items():
            assert other[key][0].cell == record.cell
            assert [row[:7] for row in other[key][1].rows] == [row[:7] for row in what.rows]
            values = [[row.value for row in each.rows] for each in (other[key][1], what)]
            # Rounding of the encoder in float32, whose matrix products depend on the batch.
            assert values[0] == pytest.approx(values[1], rel=1e-4, abs=1e-5), key


def test_a_look_is_not_taken_twice(
    files: dict[str, Path],
    images: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    asked = (files["beit"], "--measure", "spectrum", "--json")
    assert inspect(tmp_path, images, *asked) == 0
    (first,) = json.loads(capfd.readouterr().out)["records"]
    assert inspect(tmp_path, images, *asked) == 0
    said = capfd.readouterr()
    (record,) = json.loads(said.out)["records"]
    assert record == first
    assert f"cell {record['cell'][:12]} is finished" in said.err
    assert record["command"].startswith("harness inspect")


def test_looks_have_no_place_in_the_leaderboard(
    files: dict[str, Path], images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert inspect(tmp_path, images, files["beit"], "--measure", "spectrum") == 0
    capsys.readouterr()
    assert call(["report", "--results", f"sqlite:///{tmp_path}/results.sqlite"]) == 0
    assert "There are no records" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--measure", "atention"], "attention"),
        (["--n", "1"], "two"),
        (["--n", "99"], "ask for fewer"),
        (["--convention", "mine"], "rule"),
    ],
)
def test_bad_input_is_one_line(
    words: list[str],
    says: str,
    files: dict[str, Path],
    images: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert inspect(tmp_path, images, files["beit"], *words) == 2
    error = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert len(error) == 1
    assert says in error[0]
    assert not list(tmp_path.rglob("record.json"))


def test_a_convolutional_encoder_has_no_attention_and_says_what_it_has(
    files: dict[str, Path], images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert inspect(tmp_path, images, files["convnext"], "--measure", "attention") == 2
    said = capsys.readouterr().err
    assert all(measure in said for measure in ("similarity", "spectrum", "probe"))
    assert inspect(tmp_path, images, files["convnext"], *measured("similarity", "spectrum")) == 0


def test_encoders_of_different_grids_are_compared_pooled_or_not_at_all(
    files: dict[str, Path], images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pair = (files["vit16"], files["vit8"], "--measure", "similarity")
    assert inspect(tmp_path, images, *pair) == 2
    assert "--pool" in capsys.readouterr().err
    assert inspect(tmp_path, images, *pair, "--pool") == 0


def test_too_few_images_for_the_unbiased_estimator(
    files: dict[str, Path], images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = (files["beit"], "--measure", "similarity", "--n", "3")
    assert inspect(tmp_path, images, *asked) == 2
    assert "4" in capsys.readouterr().err


def test_another_convention_has_names_of_its_own(
    files: dict[str, Path], images: Path, tmp_path: Path
) -> None:
    asked = (files["vit16"], "--measure", "attention")
    for convention in ("clmim", "vitan", "lite", "monitor"):
        assert inspect(tmp_path, images, *asked, "--convention", convention) == 0
    for record, what in looks(tmp_path).values():
        assert record.primary in record.metrics
        assert what.rows
        assert all(row.measure.endswith(f"@{record.variant}") for row in what.rows)


def test_a_convention_of_plain_encoders_refuses_windows(
    files: dict[str, Path], images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = (files["swin"], "--measure", "attention", "--convention", "clmim")
    assert inspect(tmp_path, images, *asked) == 2
    assert "clmim" in capsys.readouterr().err
