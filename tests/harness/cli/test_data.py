"""`harness data prepare` and `check` on published data sets."""

from __future__ import annotations

import shutil
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from harness.cli.main import call
from tasks.classification.datasets import checking, reading
from tasks.classification.datasets.catalogue import PUBLICATIONS
from tasks.classification.datasets.contract import Archive
from tests.tasks.classification.datasets.miniature_files import write
from tests.tasks.classification.datasets.miniatures import make


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The catalogue as if the miniature were what was published."""
    small = replace(
        PUBLICATIONS["dtd"],
        counts=(6, 6, 6),
        classes=3,
        each=(2, 2),
        archives=(Archive("dtd-r1.0.1.tar.gz", "dtd"),),
    )
    monkeypatch.setitem(PUBLICATIONS, "dtd", small)
    assert reading.PUBLICATIONS is PUBLICATIONS


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    code = call(["data", *map(str, arguments)])
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.usefixtures("small")
def test_prepare_unpacks_and_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make("dtd", tmp_path)
    code, out, _ = run(capsys, "prepare", "dtd", "--data-root", tmp_path)
    assert code == 0
    assert "DTD (2014), split 1: whole" in out
    assert "train: 6 images\nval: 6 images\ntest: 6 images\nclasses: 3" in out
    with tarfile.open(tmp_path / "dtd-r1.0.1.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "dtd", "dtd")
    shutil.rmtree(tmp_path / "dtd")
    code, again, err = run(capsys, "prepare", "dtd", "--data-root", tmp_path)
    assert (code, again) == (0, out)
    assert "no md5 is published for it" in err


def test_prepare_says_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "prepare", "cars", "--data-root", tmp_path)
    assert (code, out) == (2, "")
    assert "cars_meta.mat` is missing; expected below the data root: cars_train/" in err
    assert len(err.splitlines()) == 1
    make("cars", tmp_path)
    code, out, err = run(capsys, "prepare", "cars", "--data-root", tmp_path)
    assert (code, out) == (2, "")
    assert "expected 8144 images in train, found 6" in err


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("images_a_worker", [1_000, 6])
def test_check_decodes_and_compares(
    images_a_worker: int,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(checking, "_WORTH_A_WORKER", images_a_worker)
    make("dtd", tmp_path)
    code, out, _ = run(capsys, "check", "dtd", "--data-root", tmp_path)
    assert code == 0
    assert out.endswith("every image can be decoded\n")
    assert "in two splits" not in out
    images = tmp_path / "dtd/images"
    shutil.copy(images / "banded/banded_0001.jpg", images / "banded/banded_2002.jpg")
    cut = images / "blotchy/blotchy_1001.jpg"
    cut.write_bytes(cut.read_bytes()[:-100])
    code, out, err = run(capsys, "check", "dtd", "--data-root", tmp_path)
    assert code == 2
    assert "in two splits: `images/banded/banded_0001.jpg` and `images/banded/banded_2002" in out
    assert "blotchy_1001.jpg" in out
    assert "1 images cannot be decoded" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["prepare", "cars"], "with --data-root DIR"),
        (["check", "cars"], "with --data-root DIR"),
        (["prepare", "car", "--data-root", "."], "did you mean `cars`"),
        (["preview", "cars"], "only `microworld` can"),
    ],
)
def test_bad_input(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert words in err
    assert len(err.splitlines()) == 1


def test_a_root_with_a_wrong_archive(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "CUB_200_2011.tgz", 0, 0)
    code, out, err = run(capsys, "prepare", "cub200", "--data-root", tmp_path)
    assert (code, out) == (2, "")
    assert "published is 97eceeb196236b17998738112f37df78" in err
