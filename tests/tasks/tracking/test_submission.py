"""Submissions have the bytes that the benchmarks' own tools write, and faults are told."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.exporting import archive
from tasks.contract import DataError, RecipeError, Row
from tasks.tracking.rows import row
from tasks.tracking.submission import check, submission
from tests.tasks.tracking.standing_by import LENGTHS, NAMES, boxes, standing

NONE = np.full((9, 4), np.nan)


def rows() -> list[Row]:
    return [
        row(sample, name, boxes(sample), NONE[: LENGTHS[sample], 0], NONE[: LENGTHS[sample]])
        for sample, name in enumerate(NAMES)
    ]


def saved(table: Any, form: str) -> bytes:
    """As the toolkits write it."""
    buffer = io.BytesIO()
    np.savetxt(buffer, table, fmt=form, delimiter=",")
    return buffer.getvalue()


def test_got10k_files_are_as_its_toolkit_saves_them() -> None:
    made = submission(rows()[::-1], standing(), seconds=3.0)
    expected = {}
    for sample, name in enumerate(NAMES):
        expected[f"{name}/{name}_001.txt"] = saved(boxes(sample), "%.3f")
        times = np.full((LENGTHS[sample], 1), 3.0 / 12)
        expected[f"{name}/{name}_time.txt"] = saved(times, "%.8f")
    assert made.files == expected
    assert list(made.files) == list(expected)
    assert made.files["walker/walker_001.txt"].startswith(b"1.250,2.500,10.125,8.000\n")
    assert made.files["walker/walker_time.txt"] == b"0.25000000\n" * 4
    assert "3 of 180 sequences" in made.notes[0]
    assert made.notes[1].startswith("times: 0.250000 s for every frame, the mean of 12 frames")


def test_trackingnet_files_are_as_pytracking_packs_them() -> None:
    made = submission(rows(), standing("trackingnet"), seconds=None)
    assert made.files == {
        f"{name}.txt": saved(boxes(sample), "%.2f") for sample, name in enumerate(NAMES)
    }
    assert made.notes == ("3 of 511 sequences: the server takes the whole set",)


def test_what_no_server_takes_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"`lasot` has no server .* got10k and trackingnet have"):
        submission(rows(), standing("lasot"), 1.0)
    with pytest.raises(RecipeError, match=r"takes its test split, .* --set data.version=test"):
        submission(rows(), standing(version=""), 1.0)
    with pytest.raises(RecipeError, match="how long prediction took is not recorded"):
        submission(rows(), standing(), None)


def test_rows_of_other_sequences_are_refused() -> None:
    with pytest.raises(DataError, match="2 predictions for 3 sequences"):
        submission(rows()[1:], standing(), 1.0)
    with pytest.raises(DataError, match="4 predictions for 3 sequences"):
        submission([*rows(), rows()[0]], standing(), 1.0)
    other = [rows()[0] | {"sequence": "tram"}, *rows()[1:]]
    with pytest.raises(DataError, match="of `tram` with 4 boxes is not of `walker` with 4 frames"):
        submission(other, standing(), 1.0)
    short = [rows()[0] | {"boxes": rows()[0]["boxes"][:8]}, *rows()[1:]]
    with pytest.raises(DataError, match="of `walker` with 2 boxes is not of"):
        submission(short, standing(), 1.0)
    unknown = [rows()[0] | {"boxes": [*rows()[0]["boxes"][:-1], np.nan]}, *rows()[1:]]
    with pytest.raises(DataError, match="frame 4 of `walker` is not finite"):
        submission(unknown, standing(), 1.0)


def test_equal_files_give_an_equal_archive() -> None:
    made = submission(rows(), standing(), 1.0).files
    content = archive(made)
    assert content == archive(dict(made))
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        assert packed.testzip() is None
        assert {name: packed.read(name) for name in packed.namelist()} == made
        assert {info.date_time for info in packed.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def packed(folder: Path, files: dict[str, bytes]) -> Path:
    (folder / "submission.zip").write_bytes(archive(files))
    return folder / "submission.zip"


@pytest.mark.parametrize("name", ["got10k", "trackingnet"])
def test_what_is_written_passes_the_check(tmp_path: Path, name: str) -> None:
    data = standing(name)
    assert check(packed(tmp_path, submission(rows(), data, 1.0).files), data) == []


def test_what_the_toolkits_pack_passes_the_check(tmp_path: Path) -> None:
    """Folders as entries, three repetitions with one column of times, whole numbers."""
    with zipfile.ZipFile(tmp_path / "own.zip", "w") as own:
        for sample, name in enumerate(NAMES):
            own.mkdir(name)
            for run in (1, 2, 3):
                table = np.floor(boxes(sample, run))
                own.writestr(f"{name}/{name}_{run:03d}.txt", saved(table, "%f"))
            own.writestr(f"{name}/{name}_time.txt", saved(np.ones(LENGTHS[sample]), "%f"))
    assert check(tmp_path / "own.zip", standing()) == []


BIRD, TIME = "bird/bird_001.txt", "bird/bird_time.txt"


def spoiled(name: str, line: int, text: str) -> dict[str, bytes]:
    files = submission(rows(), standing(), 1.0).files
    there = files[name].decode().splitlines()
    there[line - 1] = text
    return files | {name: ("\n".join(there) + "\n").encode()}


def changed(**files: bytes | None) -> dict[str, bytes]:
    """Files by the last part of their name, others than they are or None for missing."""
    made = submission(rows(), standing(), 1.0).files
    for stem, content in files.items():
        name = f"bird/{stem}.txt"
        if content is None:
            del made[name]
        else:
            made[name] = content
    return made


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (spoiled(BIRD, 2, "1 2 3 4"), [f"`{BIRD}` line 2: `1 2 3 4` is no number"]),
        (spoiled(BIRD, 2, "1,2,3"), [f"`{BIRD}` line 2 has 3 numbers, a box has 4: x, y, width"]),
        (spoiled(BIRD, 2, "1,2,nan,4"), [f"`{BIRD}` line 2: `nan` is not finite"]),
        (spoiled(BIRD, 2, "1,2,-3,4"), [f"`{BIRD}` line 2: width or height is negative"]),
        (
            spoiled(BIRD, 1, "4.25,2.5,10.125,8"),
            [f"`{BIRD}` line 1 is 4.25,2.5,10.125,8, the given box 3.25,2.5,10.125,8"],
        ),
        (spoiled(TIME, 5, "-0.1"), [f"`{TIME}` line 5: a time is negative"]),
        (spoiled(TIME, 5, "0.1,0.1"), [f"`{TIME}` line 5 has 2 numbers, 1 is expected"]),
        (changed(bird_001=b"3.25,2.5,10.1,8\n"), [f"`{BIRD}` has 1 lines for 5 frames"]),
        (changed(bird_001=b""), [f"`{BIRD}` is empty"]),
        (changed(bird_001=b"1,2,3,4\n" * 9999), [f"`{BIRD}` has 79992 bytes, too many for 5"]),
        (changed(bird_001=None), [f"`{BIRD}` is missing"]),
        (changed(bird_time=None), [f"`{TIME}` is missing"]),
        (
            changed(bird_003=b""),
            ["`bird/bird_003.txt` is none of", "`bird/bird_002.txt` is missing"],
        ),
        (changed(notes=b""), ["`bird/notes.txt` is none of the set's files"]),
        (changed(bird_001=None, bird_time=b"x"), [f"`{BIRD}` is missing", f"`{TIME}` line 1: `x`"]),
    ],
)
def test_each_fault_is_told(tmp_path: Path, files: dict[str, bytes], said: list[str]) -> None:
    found = sorted(check(packed(tmp_path, files), standing()))
    assert len(found) == len(said)
    for line, start in zip(found, sorted(said), strict=True):
        assert line.startswith(start)


def test_one_folder_around_all_is_told(tmp_path: Path) -> None:
    for name in ("got10k", "trackingnet"):
        files = submission(rows(), standing(name), 1.0).files
        inside = {f"mine/{path}": content for path, content in files.items()}
        assert check(packed(tmp_path, inside), standing(name)) == [
            "all files lie in a folder `mine`: pack what is in it"
        ]


def test_damaged_and_doubled_files_are_told(tmp_path: Path) -> None:
    data = standing("trackingnet")
    file = packed(tmp_path, submission(rows(), data, 1.0).files)
    content = bytearray(file.read_bytes())
    place = content.index(b"bird.txt") + len(b"bird.txt") + 10
    content[place] ^= 0xFF
    file.write_bytes(content)
    assert check(file, data) == ["`bird.txt` is damaged in the archive"]
    file.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="is no zip archive, or is truncated"):
        check(file, data)
    with pytest.raises(DataError, match="cannot read"):
        check(tmp_path / "nothing.zip", data)
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(file, "w") as doubled:
        for name, lines in submission(rows(), data, 1.0).files.items():
            doubled.writestr(name, lines)
        doubled.writestr("bird.txt", lines)
    assert check(file, data) == ["`bird.txt` is there 2 times"]
