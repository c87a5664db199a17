"""Bad input of `harness run` ends before anything is trained: one line, exit code 2."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.cli.main import call
from harness.recipes import recipe_files

RECIPE = str(recipe_files("pretraining")["smoke"])
SMOKE = ["run", "--task", "pretraining", "--scale", "smoke", "--workers", "0", "--limit", "2"]


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache of its own, so that a user's is not written to."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def said(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on stderr of a command that must end with exit code 2."""
    assert call(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    # The phase that makes data may have shown itself before; the error is one line, and the last.
    assert "Traceback" not in err
    *_, last = err.splitlines()
    assert last.startswith("error: ")
    return last


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "train.bach_size=4"], "there is `batch_size`"),
        (["--set", "train.batch_size=many"], "`train.batch_size`"),
        (["--set", "train.batch_size=0"], "greater than or equal to 1"),
        (["--set", "train.batch_size"], "needs the form"),
        (["--set", "optimizer.lr=-1"], "`optimizer.lr`"),
        (["--set", "train.steps.x=1"], "is a value, not a section"),
        (["--dataset", "imagenett"], "there is no data set `imagenett`"),
        (["--dataset", "images"], "no recipe for `images` at scale `smoke`"),
        (["--config", "nothing.yaml"], "cannot read the recipe `nothing.yaml`"),
        (["--backbone", "random", "--control", "constant"], "a cell has one control"),
        (["--set", "optimizer.layer_rule=foo"], "expected a layer rule out of simmim"),
        (["--set", "optimizer.betas=[1, 1]"], "less than 1"),
        (["--set", "optimizer.lr=.inf"], "finite"),
        (["--set", "schedule.milestones=[.nan]"], "finite"),
        (["--data-root", "somewhere"], "microworld needs no files"),
        (["--config", RECIPE, "--scale", "paper"], "is of scale `smoke`: leave --scale paper out"),
        (["--seed", "99999999999999999999"], "--seed"),
    ],
)
def test_recipe_and_options(
    arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert words in said([*SMOKE, "--output", str(tmp_path / "out"), *arguments], capsys)
    assert not (tmp_path / "out").exists()


def test_a_recipe_that_fits_no_network_leaves_nothing_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", "--task", "pose", "--scale", "smoke", "--limit", "2", "--output", str(tmp_path)]
    assert "heatmap_size" in said([*words, "--set", "codec.heatmap_size=[40, 40]"], capsys)
    assert not list(tmp_path.rglob("record.json"))


def test_smoke_finds_bad_input_before_its_first_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "simmim" in said(["smoke", "--backbone", "simmm"], capsys)
    (tmp_path / "file").touch()
    report = str(tmp_path / "file/report.xml")
    assert "--junit" in said(["smoke", "--task", "pose", "--junit", report], capsys)


@pytest.mark.parametrize(
    ("text", "words"),
    [("a: [", "not valid YAML at line"), ("- 1", "must hold sections"), ("task: 3", "`task`")],
)
def test_recipe_files(
    text: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(text)
    assert words in said([*SMOKE, "--config", str(recipe)], capsys)


def test_an_output_that_cannot_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    for place in ("file", "file/below"):
        assert "file" in said([*SMOKE, "--output", str(tmp_path / place)], capsys)
    assert (tmp_path / "file").read_text() == ""


def test_a_table_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text.sqlite").write_text("this is no database, " * 100)
    with sqlite3.connect(tmp_path / "newer.sqlite") as connection:
        connection.execute("create table about (schema_version integer primary key)")
        connection.execute("insert into about values (99)")
    output = ["--output", str(tmp_path / "out")]
    for url in (
        f"sqlite:///{tmp_path}/text.sqlite",
        f"sqlite:///{tmp_path}/newer.sqlite",
        f"sqlite:///{tmp_path}/text.sqlite/below.sqlite",
        "no url at all",
    ):
        said([*SMOKE, *output, "--results", url], capsys)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The file of a small encoder."""
    import backbones

    arch = {"embed_dim": 32, "depth": 1, "patch_size": 16, "num_heads": 2}
    path = tmp_path_factory.mktemp("encoder") / "small.safetensors"
    made = backbones.create("beit", arch, 128, seed=0)
    said = {"name": "small", "objective": "none", "licence": "none", "data": "none"}
    backbones.save(made, path, said | {"evidence": None})
    return str(path)


POSE = ["run", "--task", "pose", "--scale", "smoke", "--workers", "0"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<!DOCTYPE html><html>sign in</html>", "is an HTML page"),
        (b"text, not weights", "broken"),
        (b"", "broken"),
    ],
)
def test_a_file_that_is_no_checkpoint(
    content: bytes, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "broken.pth"
    path.write_bytes(content)
    line = said([*POSE, "--backbone", str(path)], capsys)
    assert "broken.pth" in line
    assert words in line


def test_an_unknown_encoder_gets_the_nearest_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert "mae_vit_base" in said([*POSE, "--backbone", "mae_vit_bsae"], capsys)


def test_a_missing_data_root_shows_the_expected_layout(
    encoder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    coco = [*POSE, "--backbone", encoder, "--dataset", "coco"]
    missing = tmp_path / "nothing"
    line = said([*coco, "--data-root", str(missing)], capsys)
    assert str(missing) in line
    assert "person_keypoints_val2017.json" in line
    assert "--data-root" in said(coco, capsys)


def test_truncated_annotations_are_named(
    encoder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "annotations").mkdir()
    for split in ("train", "val"):
        (tmp_path / f"{split}2017").mkdir()
        path = tmp_path / f"annotations/person_keypoints_{split}2017.json"
        path.write_text('{"images": [{"id": 1, "file_na')
    arguments = ["--backbone", encoder, "--dataset", "coco", "--data-root", str(tmp_path)]
    assert "person_keypoints_" in said([*POSE, *arguments], capsys)
