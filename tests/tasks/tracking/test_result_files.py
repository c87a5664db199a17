"""Result folders in three layouts give the boxes that were written, and faults by file and line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tasks.contract import DataError, Predictions, RecipeError
from tasks.tracking import lines
from tasks.tracking import rows as stored
from tasks.tracking.result_files import read
from tests.tasks.tracking.standing_by import NAMES, boxes, standing


def write(path: Path, table: np.ndarray, delimiter: str = ",", form: str = "%.3f") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savetxt(path, table, form, delimiter)


def got10k(folder: Path, runs: int = 1) -> None:
    for sample, name in enumerate(NAMES):
        for run in range(runs):
            write(folder / name / f"{name}_{run + 1:03d}.txt", boxes(sample, run))
        times = np.ones((len(boxes(sample)), runs))
        write(folder / name / f"{name}_time.txt", times, form="%.8f")


def pytracking(folder: Path, run: int = 0) -> None:
    for sample, name in enumerate(NAMES):
        stem = name.replace(".", "_")
        write(folder / f"{stem}.txt", boxes(sample, run).astype(int), "\t", "%d")
        write(folder / f"{stem}_time.txt", np.ones((len(boxes(sample)), 1)), form="%f")


def lasot(folder: Path) -> None:
    for sample, name in enumerate(NAMES):
        write(folder / f"{name}.txt", boxes(sample))


def assert_rows(found: Predictions, rounded: Callable[[np.ndarray], np.ndarray]) -> None:
    for run, rows in enumerate(found.runs):
        assert [(row["sample"], row["sequence"]) for row in rows] == list(enumerate(NAMES))
        for sample, row in enumerate(rows):
            np.testing.assert_array_equal(stored.boxes(row), rounded(boxes(sample, run)))
            assert np.isnan(row["scores"]).all() and len(row["scores"]) == len(boxes(sample))
            assert np.isnan(stored.centres(row)).all() and stored.maps(row) is None


def thousandths(table: np.ndarray) -> np.ndarray:
    return np.array([[float(f"{value:.3f}") for value in line] for line in table])


@pytest.mark.parametrize("layout", [None, "got10k"])
@pytest.mark.parametrize("runs", [1, 3])
def test_got10k_with_its_repetitions(tmp_path: Path, layout: str | None, runs: int) -> None:
    got10k(tmp_path, runs)
    (tmp_path / ".DS_Store").touch()
    found = read(tmp_path, standing(), layout)
    assert len(found.runs) == runs
    assert "layout of got10k" in found.notes[0]
    assert_rows(found, thousandths)


@pytest.mark.parametrize("layout", [None, "pytracking"])
def test_pytracking_with_other_sequences_beside(tmp_path: Path, layout: str | None) -> None:
    pytracking(tmp_path)
    write(tmp_path / "Basketball.txt", boxes(0).astype(int), "\t", "%d")
    write(tmp_path / "Basketball_time.txt", np.ones((4, 1)))
    found = read(tmp_path, standing(convention="pytracking"), layout)
    assert found.notes == (
        f"boxes of `{tmp_path}`, read in the layout of pytracking",
        "1 files of other sequences in the folder are left out",
    )
    assert_rows(found, lambda table: table.astype(int))


def test_pytracking_with_commas_and_the_names_of_its_uav123(tmp_path: Path) -> None:
    for sample, name in enumerate(NAMES):
        write(tmp_path / f"uav_{name}.txt", boxes(sample).astype(int), form="%d")
    found = read(tmp_path, standing())
    assert "layout of pytracking" in found.notes[0]
    assert_rows(found, lambda table: table.astype(int))


def test_pytracking_runs_lie_in_folders(tmp_path: Path) -> None:
    for run in range(2):
        pytracking(tmp_path / f"default_{run:03d}", run)
    found = read(tmp_path, standing())
    assert len(found.runs) == 2
    assert_rows(found, lambda table: table.astype(int))
    (one,) = read(tmp_path / "default_001", standing()).runs
    assert one == found.runs[1] or str(one) == str(found.runs[1])
    pytracking(tmp_path / "other_000")
    with pytest.raises(DataError, match="runs of several settings, default, other: give"):
        read(tmp_path, standing())


@pytest.mark.parametrize("layout", [None, "lasot"])
def test_lasot(tmp_path: Path, layout: str | None) -> None:
    lasot(tmp_path)
    (tmp_path / "times").mkdir()
    found = read(tmp_path, standing("lasot", "lasot"), layout)
    assert "layout of lasot" in found.notes[0]
    assert_rows(found, thousandths)


@pytest.mark.parametrize("between", [",", "\t", " ", ", ", " , ", "   "])
def test_numbers_stand_between_commas_tabs_or_blanks(tmp_path: Path, between: str) -> None:
    lasot(tmp_path)
    file = tmp_path / "bird.txt"
    file.write_text("\ufeff" + file.read_text().replace(",", between).replace("\n", " \r\n"))
    found = read(tmp_path, standing(), "lasot")
    assert_rows(found, thousandths)


def faulty(line: str) -> Callable[[Path], None]:
    """Put a line in the place of the third of `bird`."""

    def spoil(folder: Path) -> None:
        (file,) = folder.rglob("bird*001.txt")
        there = file.read_text().splitlines()
        file.write_text("\n".join([*there[:2], line, *there[3:]]) + "\n")

    return spoil


def longer(folder: Path) -> None:
    with (folder / "bird/bird_001.txt").open("a") as file:
        file.write("1,2,3,4\n")


def empty(folder: Path) -> None:
    (folder / "bird/bird_001.txt").write_text("\n")


def binary(folder: Path) -> None:
    (folder / "bird/bird_001.txt").write_bytes(b"\xff\xfe\x00")


def without(folder: Path) -> None:
    (folder / "bird/bird_001.txt").unlink()


def without_two(folder: Path) -> None:
    without(folder)
    (folder / "walker").rename(folder / ".walker")


def with_other(folder: Path) -> None:
    (folder / "Basketball").mkdir()


def with_more(folder: Path) -> None:
    (folder / "bird/notes.md").touch()


def with_second_run(folder: Path) -> None:
    write(folder / "bird/bird_002.txt", boxes(2))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (faulty("1,2,3"), r"bird_001.txt` line 3 has 3 numbers, a box has 4: x, y, width, height"),
        (faulty("1,2,3,4,5,6,7,8"), r"bird_001.txt` line 3 has 8 numbers, a box has 4"),
        (faulty("1,2,three,4"), r"bird_001.txt` line 3: `three` is no number"),
        (faulty("1,2,,4"), r"bird_001.txt` line 3: `` is no number"),
        (faulty("1,2,1_0,4"), r"bird_001.txt` line 3: `1_0` is no number"),
        (faulty(""), r"bird_001.txt` line 3: `` is no number"),
        (faulty("1,2,nan,4"), r"bird_001.txt` line 3: `nan` is not finite"),
        (faulty("1,2,-inf,4"), r"bird_001.txt` line 3: `-inf` is not finite"),
        (longer, r"bird_001.txt` has 6 boxes for the 5 frames of `bird`: GOT-10k's convention"),
        (empty, r"bird_001.txt` is empty"),
        (binary, r"bird_001.txt` is no text file"),
        (without, r"bird/bird_001.txt` is missing: there are no boxes for `bird`$"),
        (without_two, r"no boxes for `bird`, nor for 1 more sequences"),
        (with_other, r"/Basketball`: of no sequence of the data set; move it elsewhere"),
        (with_more, r"/bird/notes.md`: of no sequence"),
        (with_second_run, r"/bird` has 2 repetitions, other sequences 1: the same number"),
    ],
)
def test_faults_are_named(tmp_path: Path, spoil: Callable[[Path], None], said: str) -> None:
    got10k(tmp_path)
    spoil(tmp_path)
    with pytest.raises(DataError, match=said) as error:
        read(tmp_path, standing())
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "text", ["1,2,3,4\n\n1,2,3,4", "1,2,3,4#\n", "1,2,3,4,\n", "0x1,2,3,4", ","]
)
def test_no_way_of_reading_is_more_lenient(text: str) -> None:
    with pytest.raises(DataError, match="`file` line"):
        lines.boxes(text.encode(), "file")


def test_both_ways_of_reading_give_the_same_numbers() -> None:
    rng = np.random.default_rng(0)
    table = rng.normal(0, 1, (50, 4)) * 10.0 ** rng.integers(-9, 9, (50, 4))
    text = "\n".join(",".join(map(repr, row)) for row in table.tolist())
    np.testing.assert_array_equal(lines.boxes(text.encode(), "x"), table)
    np.testing.assert_array_equal(lines.boxes(text.replace(",", "\t").encode(), "x"), table)


def test_lengths_are_the_conventions_matter(tmp_path: Path) -> None:
    got10k(tmp_path)
    longer(tmp_path)
    (rows,) = read(tmp_path, standing(convention="otb")).runs
    assert stored.boxes(rows[2]).shape == (6, 4)


@pytest.mark.parametrize("convention", ["otb", "lasot", "trackingnet", "pytracking"])
def test_a_missing_number_is_the_conventions_matter(tmp_path: Path, convention: str) -> None:
    got10k(tmp_path)
    faulty("1,NaN,3,4")(tmp_path)
    data = standing(convention=convention)
    if convention == "pytracking":
        with pytest.raises(DataError, match=r"bird_001.txt` line 3: `NaN` is not finite"):
            read(tmp_path, data)
        return
    (rows,) = read(tmp_path, data).runs
    np.testing.assert_array_equal(stored.boxes(rows[2])[2], [1, np.nan, 3, 4])
    faulty("1,inf,3,4")(tmp_path)
    with pytest.raises(DataError, match=r"bird_001.txt` line 3: `inf` is not finite"):
        read(tmp_path, data)


def test_others_than_the_first_are_no_surplus(tmp_path: Path) -> None:
    got10k(tmp_path)
    part = standing(limit=2)
    part.sequences = part.sequences[:2]
    assert [row["sequence"] for row in read(tmp_path, part).runs[0]] == ["walker", "crane.1"]


def test_what_is_no_result_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no folder"):
        read(tmp_path / "nothing", standing())
    with pytest.raises(DataError, match=r"has no boxes of these sequences: .* is `walker`"):
        read(tmp_path, standing())
    with pytest.raises(RecipeError, match="no layout `vot`; there is got10k, pytracking, lasot"):
        read(tmp_path, standing(), "vot")
    lasot(tmp_path)
    with pytest.raises(DataError, match=r"bird_001.txt` is missing: there are no boxes for `bird`"):
        read(tmp_path, standing(), "got10k")
    (tmp_path / "readme.txt").touch()
    with pytest.raises(DataError, match=r"readme.txt`: of no sequence"):
        read(tmp_path, standing())
