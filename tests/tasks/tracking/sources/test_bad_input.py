"""What is wrong with sequences is said in one line, with the sequence and the frame."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from tasks.contract import DataError
from tests.tasks.tracking.sources import miniature
from tests.tasks.tracking.sources.miniature import box, jpeg, lines, opened, write

Spoil = Callable[[Path], object]


def _boxes(text: str) -> Spoil:
    return lambda folder: write(folder / "groundtruth.txt", text)


def _row(number: int, line: str) -> Spoil:
    def spoil(folder: Path) -> None:
        rows = lines([box(k) for k in (1, 2, 3, 4)]).splitlines()
        rows[number - 1] = line
        write(folder / "groundtruth.txt", "\n".join(rows) + "\n")

    return spoil


def _remove(*numbers: int) -> Spoil:
    def spoil(folder: Path) -> None:
        for number in numbers:
            (folder / f"{number:08d}.jpg").unlink()

    return spoil


def _frame(name: str, content: bytes) -> Spoil:
    def spoil(folder: Path) -> None:
        (folder / name).write_bytes(content)

    return spoil


TRUTH = lines([box(k) for k in (1, 2, 3, 4)])

OPENING: dict[str, tuple[Spoil, str]] = {
    "one frame": (_remove(2, 3, 4), "there is one image alone, `00000001.jpg`, in .* two or more"),
    "no frame": (_remove(1, 2, 3, 4), "there is no image in .*one`; a video has two or more"),
    "missing frame": (
        _remove(3),
        "frames are missing in .*: after `00000002.jpg` comes `00000004.jpg`",
    ),
    "no boxes": (lambda folder: (folder / "groundtruth.txt").unlink(), "its boxes .* are missing"),
    "more boxes": (
        _boxes(TRUTH + "1,2,3,4\n"),
        "has more boxes than there are frames, 5 for 4; .* `one/00000004.jpg`",
    ),
    "fewer boxes": (
        _boxes(lines([box(1), box(2)])),
        "has fewer boxes than there are frames, 2 for 4; .* `one/00000002.jpg`",
    ),
    "empty first box": (
        _row(1, "1,2,0,4"),
        "the box of its first frame `one/00000001.jpg` is empty in .*: 0.0 x 4.0",
    ),
    "unknown first box": (_row(1, "nan,nan,nan,nan"), "its first frame `one/00000001.jpg` is NaN"),
    "outside": (
        _row(1, "32,2,5,4"),
        r"its first frame `one/00000001.jpg`, \[32.0, .* is outside the image of 32x24 pixels",
    ),
    "outside above": (_row(1, "3,-9,5,9"), "is outside the image of 32x24 pixels"),
    "partly NaN": (_row(3, "1,2,nan,4"), "groundtruth.txt` line 3 has a number and NaN in its box"),
    "letters": (_row(2, "1,2,x3,4"), "groundtruth.txt` line 2: `x3` is no number"),
    "underscore": (_row(1, "1_0,2,3,4"), "groundtruth.txt` line 1: `1_0` is no number"),
    "later underscore": (_row(3, "1,2,3,1_4"), "groundtruth.txt` line 3: `1_4` is no number"),
    "infinite": (_row(2, "1,2,inf,4"), "groundtruth.txt` line 2 has an infinite number"),
    "eight numbers": (
        _boxes("1,2,3,4,5,6,7,8\n" * 4),
        "line 1 has 8 numbers, 4 are expected; VOT's polygons are read by --dataset vot",
    ),
    "three numbers": (_row(4, "1,2,3"), "line 4 has 3 numbers, 4 are expected"),
    "empty line": (_row(2, ""), "line 2 has 0 numbers, 4 are expected"),
    "empty boxes": (_boxes("\n \n"), "groundtruth.txt` is empty: no box is listed"),
    "no text": (
        lambda folder: (folder / "groundtruth.txt").write_bytes(b"\xff\xfe\x00"),
        "groundtruth.txt` is no text file",
    ),
    "few labels": (
        lambda folder: write(folder / "cover.label", "1\n2\n"),
        "cover.label` has 2 labels for 4 frames",
    ),
    "large label": (
        lambda folder: write(folder / "cover.label", "1\n2\n9\n4\n"),
        "cover.label`: the label of frame 3 is `9`, whole numbers from 0 to 8 are expected",
    ),
    "word for a label": (
        lambda folder: write(folder / "absence.label", "0\nyes\n0\n0\n"),
        "absence.label`: the label of frame 2 is `yes`, whole numbers from 0 to 1",
    ),
    "corrupt first frame": (
        _frame("00000001.jpg", b"<html>"),
        "cannot read the image .*00000001.jpg`: it is no image",
    ),
    "empty first frame": (
        _frame("00000001.jpg", b""),
        "cannot read the image .*00000001.jpg`: it is no image",
    ),
    "frame without a number": (
        _frame("cover.jpg", jpeg(1)),
        "the frame `cover.jpg` has no number, which says where it belongs",
    ),
    "frame twice": (
        _frame("2.jpg", jpeg(1)),
        "two frames have the number of `2.jpg` in",
    ),
}


@pytest.mark.parametrize("what", OPENING)
def test_refused_when_opened(tmp_path: Path, what: str) -> None:
    spoil, message = OPENING[what]
    folder = miniature.write_sequence(tmp_path / "one")
    miniature.write_sequence(tmp_path / "two")
    write(tmp_path / "list.txt", "two\none\n")
    spoil(folder)
    with pytest.raises(DataError) as caught:
        opened("folder", tmp_path)
    said = str(caught.value)
    assert said.startswith("sequence `one`: ") and "\n" not in said
    assert re.search(message, said), said


def test_nan_where_a_benchmark_has_none(tmp_path: Path) -> None:
    root = miniature.write_got10k(tmp_path)
    path = root / "val" / "GOT-10k_Val_000002" / "groundtruth.txt"
    write(path, lines([box(1), box(2)]) + "nan,nan,nan,nan\n1,2,3,4\n")
    with pytest.raises(DataError, match=r"sequence `GOT-10k_Val_000002`: .* line 3 has NaN in its"):
        opened("got10k", root)


def test_lists(tmp_path: Path) -> None:
    miniature.write_sequence(tmp_path / "one")
    for text, message in {
        "\n\n": "list.txt` lists no sequence",
        "one\ntwo\none\n": "list.txt` lists the sequence `one` 2 times",
        "../one\n": r"`\.\./one` is no name of a sequence",
        "one\ntwo\n": "sequence `two`: the folder `.*/two` is missing, and so is `.*/two.zip`",
    }.items():
        write(tmp_path / "list.txt", text)
        with pytest.raises(DataError, match=message):
            opened("folder", tmp_path)


def test_a_sequence_in_two_parts(tmp_path: Path) -> None:
    root = miniature.write_trackingnet(tmp_path)
    write(root / "TRAIN_1" / "anno" / "a.txt", lines([box(1)] * 12))
    with pytest.raises(DataError, match=r"the sequence `a` is in TRAIN_1 and in a part before it"):
        opened("trackingnet", root, "training")


def test_refused_when_read(tmp_path: Path) -> None:
    folder = miniature.write_sequence(tmp_path / "one")
    (folder / "00000003.jpg").write_bytes(jpeg(3)[:-40])
    (folder / "00000004.jpg").write_bytes(jpeg(4, 30, 20))
    frames = opened("folder", tmp_path).sequences[0].frames
    assert frames.read(1).shape == (24, 32, 3)
    with pytest.raises(DataError, match=r"sequence `one`: .*one/00000003.jpg`: it is truncated"):
        frames.read(2)
    message = r"sequence `one`: the frame `.*one/00000004.jpg` has 30x20 pixels, .* 32x24"
    with pytest.raises(DataError, match=message):
        frames.read(3)
    (folder / "00000002.jpg").unlink()
    with pytest.raises(DataError, match=r"sequence `one`: .*one/00000002.jpg`: No such file"):
        frames.read(1)


def test_masks_of_later_challenges(tmp_path: Path) -> None:
    root = miniature.write_vot(tmp_path)
    write(root / "bag" / "groundtruth.txt", "m0,0,3,4,1,2\n" * 3)
    message = r"sequence `bag`: .* line 1 has 6 numbers, 4 or 8 are expected; masks as of VOT 2020"
    with pytest.raises(DataError, match=message):
        opened("vot", root)


def test_upright_frames_have_the_size_of_their_boxes(tmp_path: Path) -> None:
    """A tag that turns the images turns the size that is taken from the head, too."""
    from PIL import Image

    folder = miniature.write_sequence(tmp_path / "one")
    tag = Image.Exif()
    tag[0x0112] = 6
    for path in sorted(folder.glob("*.jpg")):
        pixels = cv2.imread(str(path))
        assert pixels is not None
        Image.fromarray(np.asarray(pixels, np.uint8)).save(path, exif=tag)
    frames = opened("folder", tmp_path).sequences[0].frames
    assert frames.read(0).shape == (32, 24, 3)
