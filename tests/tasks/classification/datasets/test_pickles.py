"""Pickled lists are read without running anything of theirs."""

from __future__ import annotations

import os
import pickle
import struct
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.classification.datasets.pickles import array_of, entry, load, texts
from tasks.classification.datasets.reading import read
from tasks.contract import DataError
from tests.tasks.classification.datasets.miniature_pickles import python2
from tests.tasks.classification.datasets.miniatures import make

ARRAYS = (
    np.arange(24, dtype=np.uint8).reshape(2, 3, 4),
    np.asfortranarray(np.arange(6, dtype=">i4").reshape(2, 3)),
    np.array(["a", "bcd", "é"]),
    np.array([b"a", b"bcd"]),
    np.array(["a", "bcd"], dtype=object),
    np.array([1.5, -2.0]),
    np.zeros((0, 3), np.int64),
)


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("array", ARRAYS)
def test_arrays_are_what_was_written(array: np.ndarray, protocol: int, tmp_path: Path) -> None:
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps({"x": [array, 1, "text", None]}, protocol=protocol))
    found = entry(load(path), "x", path)
    assert np.array_equal(array_of(found[0], path), array)
    assert array_of(found[0], path).shape == array.shape
    assert found[1:] == [1, "text", None]


def test_pickles_of_python_2(tmp_path: Path) -> None:
    path, rows = tmp_path / "a.pkl", np.arange(256, dtype=np.uint8).reshape(2, 128)
    path.write_bytes(python2({b"data": rows, b"labels": [1, 0], b"batch_label": b"one"}))
    # As in the published files: numpy's old name, and text without an encoding.
    assert b"numpy.core.multiarray" in path.read_bytes()
    assert b"_codecs" not in path.read_bytes()
    found = load(path)
    assert np.array_equal(array_of(entry(found, "data", path), path), rows)
    assert found[b"batch_label"] == b"one"


def test_the_oldest_protocol(tmp_path: Path) -> None:
    """As CIFAR-10's list of class names is written, and numbers as Python 2 had them."""
    path = tmp_path / "a.pkl"
    path.write_bytes(
        b"(dp1\nS'num_vis'\np2\nI3072\nsS'long'\nL7L\nsS'label_names'\np3\n"
        b"(lp4\nS'airplane'\np5\naS'bird'\np6\nas."
    )
    assert load(path) == {b"num_vis": 3072, b"long": 7, b"label_names": [b"airplane", b"bird"]}


class Runs:
    def __init__(self, *what: Any) -> None:
        self.what = what

    def __reduce__(self) -> tuple[Any, ...]:
        return self.what[0], self.what[1:]


def nested() -> bytes:
    """A dict whose key is a tuple in a tuple in a tuple ..., the hash of which ends a process."""
    return b"\x80\x02}" + b")" + b"\x85" * 20_000 + b"K\x01s."


HOSTILE: dict[str, bytes] = {
    "a function": pickle.dumps(Runs(os.mkdir, "RAN")),
    "a function in a list": pickle.dumps([[1], {"a": Runs(os.mkdir, "RAN")}]),
    "getattr": pickle.dumps(Runs(getattr, "x", "upper")),
    "eval": b'cbuiltins\neval\n(S\'__import__("os").mkdir("RAN")\'\ntR.',
    "instance": b"(S'RAN'\nios\nmkdir\n.",
    "object": b"(cos\nmkdir\nS'RAN'\no.",
    "numpy's own": b"cnumpy.core.multiarray\nfromstring\n(S'RAN'\ntR.",
    "an attribute by dots": b"\x80\x04\x8c\x05numpy\x8c\x12ndarray.__init__.x\x93.",
    "state of a class": b"cnumpy\nndarray\n}S'set'\nS'x'\nsb.",
    "state of a function": b"c_codecs\nencode\n}S'__code__'\nS'x'\nsb.",
    "state of a list": b"]}S'set'\nS'x'\nsb.",
    "ordered": pickle.dumps(OrderedDict(a=1)),
    "a set": pickle.dumps({1, 2}, protocol=4),
    "persistent": b"Px\n.",
    "extension": b"\x82\x01.",
    "nested": nested(),
    "another encoding": b"c_codecs\nencode\n(S'x'\nS'rot13'\ntR.",
    "a structured type": pickle.dumps(np.zeros(2, [("a", "u1")])),
    "a date": pickle.dumps(np.zeros(2, "M8[s]")),
    "long": b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1),
    "a length that is not there": b"\x80\x04\x8e" + struct.pack("<Q", 2**60) + b"abc.",
    "bytes of any number": b"c__builtin__\nbytes\n(I9\ntR.",
    "cut short": pickle.dumps(list(range(100)))[:-20],
    "empty": b"",
    "text": b"<!DOCTYPE html><html>",
    "nothing on the stack": b"\x80\x02.",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_and_damaged_files_are_refused_and_run_nothing(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "a.pkl"
    path.write_bytes(HOSTILE[kind])
    with pytest.raises(DataError) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert str(caught.value).isprintable()
    assert [found.name for found in tmp_path.iterdir()] == ["a.pkl"]


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "cog-l3"])
def test_a_reader_runs_nothing(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(name, tmp_path)
    ran = tmp_path / "RAN"
    for path in tmp_path.rglob("*"):
        if path.is_file() and path.suffix in ("", ".pkl", ".meta"):
            path.write_bytes(pickle.dumps(Runs(os.mkdir, str(ran))))
    with pytest.raises(DataError, match=r"asks for posix\.mkdir.*files that could run code"):
        read(name, tmp_path, partial=True)
    assert not ran.exists()


@pytest.mark.parametrize(
    "state",
    [
        (1, (2, 2), np.dtype("u1"), False, b"abc"),
        (1, (2,), "no type", False, b"ab"),
        (1, (2,)),
        (1, (2, 2), np.dtype("O"), False, ["a"]),
        (1, (-1,), np.dtype("u1"), False, b"ab"),
    ],
)
def test_damaged_arrays_are_refused(state: tuple[Any, ...], tmp_path: Path) -> None:
    path = tmp_path / "a.pkl"
    whole = pickle.dumps(state, protocol=2)[2:-1]
    path.write_bytes(b"\x80\x02cnumpy\nndarray\n)R" + whole + b"b.")
    value = load(path)
    with pytest.raises(DataError, match="damaged array"):
        array_of(value, path)


@pytest.mark.parametrize("value", [3, None, [b"\xff"], {"a": 1}, ["a", ["b"]]])
def test_names_are_lists_of_text(value: Any, tmp_path: Path) -> None:
    assert texts([b"dog", b"cat"], tmp_path) == ["dog", "cat"]
    with pytest.raises(DataError, match="official file"):
        texts(value, tmp_path)
