"""Reading the pickled lists of CIFAR and CoG, without running anything of theirs.

They hold dicts and lists of text, numbers and numpy arrays. Only the codes that make these are
known here, only such values are keys, and the few names that a pickled array asks for stand for
functions of this file.
"""

from __future__ import annotations

import math
import mmap
import pickle
import re
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tasks.classification.datasets.layout import need
from tasks.contract import DataError

_CODES = (
    *("PROTO", "FRAME", "STOP", "MARK", "POP", "POP_MARK"),
    *("EMPTY_DICT", "DICT", "SETITEM", "SETITEMS", "EMPTY_LIST", "LIST", "APPEND", "APPENDS"),
    *("EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"),
    *(
        "NONE",
        "NEWTRUE",
        "NEWFALSE",
        "INT",
        "BININT",
        "BININT1",
        "BININT2",
        "LONG",
        "LONG1",
        "FLOAT",
        "BINFLOAT",
    ),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("PUT", "BINPUT", "LONG_BINPUT", "GET", "BINGET", "LONG_BINGET", "MEMOIZE"),
    *("GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD"),
)
_KINDS = re.compile(r"[biufSUO]\d*")
"""numpy's short names of numbers, text and objects."""


class _Kind:
    """Stands for numpy.dtype."""

    def __init__(self, name: Any, *_: Any) -> None:
        text = name.decode("ascii") if isinstance(name, bytes) else str(name)
        if not _KINDS.fullmatch(text):
            raise DataError(f"asks for arrays of {text!r}")
        self.name, self.order = text, "="

    def set(self, state: Any) -> None:
        order = state[1]
        self.order = order.decode("ascii") if isinstance(order, bytes) else str(order)
        if self.order not in "<>|=":
            raise DataError(f"asks for arrays in the byte order {self.order!r}")

    def dtype(self) -> np.dtype[Any]:
        return np.dtype(f"{self.order}{self.name}")


class Array:
    """Stands for a numpy array until `array_of` makes it one."""

    def __init__(self, *_: Any) -> None:
        self.state: tuple[Any, ...] = ()

    def set(self, state: Any) -> None:
        self.state = tuple(state)


def array_of(value: Any, path: Path) -> NDArray[Any]:
    """The numpy array of what was read from `path`: a pickled array, or a list.

    Raises:
        DataError: its shape and its bytes do not go together.
    """
    try:
        return _array(value.state) if isinstance(value, Array) else np.asarray(value)
    except (ValueError, TypeError) as error:
        raise DataError(
            f"`{path}` has a damaged array ({error}); get the official file again"
        ) from None


def _array(state: tuple[Any, ...]) -> NDArray[Any]:
    _, shape, kind, fortran, content = state
    if not isinstance(kind, _Kind):
        raise ValueError("it has no type")
    dtype = kind.dtype()
    if dtype.hasobject:
        return np.array(content, dtype=object).reshape(shape)
    if not isinstance(content, bytes) or len(content) != math.prod(shape) * dtype.itemsize:
        raise ValueError("its shape and its bytes do not go together")
    return np.frombuffer(content, dtype).reshape(shape, order="F" if fortran else "C")


def _encode(text: str, encoding: str = "latin1") -> bytes:
    """Stands for codecs.encode, with which Python 3 writes bytes for Python 2."""
    if encoding not in ("latin1", "latin-1"):
        raise DataError(f"asks for the encoding {encoding!r}")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    """Stands for bytes, which Python 3 calls without arguments to write empty ones for Python 2."""
    return b""


_NAMES: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): Array,
    ("numpy", "dtype"): _Kind,
    ("numpy.core.multiarray", "_reconstruct"): Array,
    ("numpy._core.multiarray", "_reconstruct"): Array,
    ("_codecs", "encode"): _encode,
    ("__builtin__", "bytes"): _no_bytes,
}

_InPython: Any = pickle._Unpickler
"""The one in C cannot be told which codes it may follow."""


class _Unpickler(_InPython):  # type: ignore[misc]
    dispatch: ClassVar[dict[int, Any]] = {
        getattr(pickle, code)[0]: _InPython.dispatch[getattr(pickle, code)[0]] for code in _CODES
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _NAMES:
            raise DataError(f"asks for {module}.{name}")
        return _NAMES[module, name]

    def load_build(self) -> None:
        """Give a state to a stand-in, never to what the names stand for."""
        state = self.stack.pop()
        if not isinstance(self.stack[-1], Array | _Kind):
            raise DataError("sets the state of something that is no array")
        self.stack[-1].set(state)

    def load_setitem(self) -> None:
        _plain(self.stack[-2:-1])
        super().load_setitem()

    def load_setitems(self) -> None:
        _plain(self.stack[::2])
        super().load_setitems()

    def load_dict(self) -> None:
        _plain(self.stack[::2])
        super().load_dict()

    dispatch[pickle.BUILD[0]] = load_build
    dispatch[pickle.SETITEM[0]] = load_setitem
    dispatch[pickle.SETITEMS[0]] = load_setitems
    dispatch[pickle.DICT[0]] = load_dict


def _plain(keys: list[Any]) -> None:
    # The hash of tuples nested deep enough ends the process.
    for key in keys:
        if not isinstance(key, str | bytes | int):
            raise DataError(f"has a {type(key).__name__} for a key")


def load(path: Path) -> Any:
    """Read a pickle of dicts, lists, text, numbers and arrays; text of Python 2 becomes bytes.

    Raises:
        MissingError: it is not there.
        DataError: it is damaged, or holds or asks for anything else.
    """
    with need(path).open("rb") as file:
        try:
            # A map gives no more than there is, whatever length the file claims.
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                return _Unpickler(content, encoding="bytes").load()
        except DataError as error:
            raise DataError(
                f"`{path}` {error}, which its lists do not need; files that could run code are "
                "refused: get the official one"
            ) from None
        except KeyError as error:
            raise DataError(
                f"`{path}` is no pickle of lists and arrays (code {error}); get the official one"
            ) from None
        except Exception as error:
            raise DataError(
                f"`{path}` is damaged or cut short ({type(error).__name__}); get it again"
            ) from None


def text(value: Any) -> str:
    """Text of Python 2 or 3."""
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def texts(value: Any, path: Path) -> list[str]:
    """A pickled list or array of text.

    Raises:
        DataError: it is something else.
    """
    found = array_of(value, path).tolist()
    try:
        if isinstance(found, list):
            return [text(each) for each in found]
    except UnicodeDecodeError:
        pass
    raise DataError(f"`{path}` has no list of names; get the official file")


def entry(mapping: Any, key: str, path: Path) -> Any:
    """What a pickled dict has under a key, text of Python 2 or 3.

    Raises:
        DataError: it is no dict, or has no such key.
    """
    if isinstance(mapping, dict):
        for candidate in (key, key.encode()):
            if candidate in mapping:
                return mapping[candidate]
    raise DataError(f"`{path}` has no `{key}`; get the official file")
