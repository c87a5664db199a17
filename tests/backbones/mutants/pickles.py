"""Opcodes that would run code or fill the memory, to be planted among the weights of a file."""

from __future__ import annotations

import io
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import torch

Payload = Callable[[Path], bytes]
"""Opcodes that leave one value on the stack; where they run, they make the file given."""


class Raw:
    """Stands in a content for opcodes that are written as they are."""

    def __init__(self, code: bytes) -> None:
        self.code = code


_InPython: Any = pickle._Pickler


class _Pickler(_InPython):
    dispatch: ClassVar[dict[type, Any]] = dict(_InPython.dispatch)

    def _write(self, value: Raw) -> None:
        self.write(value.code)

    dispatch[Raw] = _write


def saved(content: Any, zipped: bool) -> bytes:
    """What torch.save makes of a content with opcodes in it."""
    buffer = io.BytesIO()
    module = SimpleNamespace(Pickler=_Pickler, dump=pickle.dump, __name__="pickle")
    torch.save(content, buffer, module, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


def text(value: str) -> bytes:
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def number(value: int) -> bytes:
    data = pickle.encode_long(value)
    return b"\x8a" + bytes([len(data)]) + data


def called(module: str, name: str, *arguments: bytes) -> bytes:
    return f"c{module}\n{name}\n(".encode() + b"".join(arguments) + b"tR"


def _touch(marker: Path) -> bytes:
    return text(f"touch '{marker}'")


def reduce_os_system(marker: Path) -> bytes:
    return called("os", "system", _touch(marker))


def reduce_posix_system(marker: Path) -> bytes:
    return called("posix", "system", _touch(marker))


def reduce_exec(marker: Path) -> bytes:
    return called("builtins", "exec", text(f"open({str(marker)!r}, 'w')"))


def reduce_eval_of_python_2(marker: Path) -> bytes:
    return called("__builtin__", "eval", text(f"open({str(marker)!r}, 'w')"))


def reduce_getattr(marker: Path) -> bytes:
    function = called("builtins", "getattr", b"cos\n_wrap_close\n", text("__init__"))
    function = called("builtins", "getattr", function, text("__globals__"))
    function = called("operator", "getitem", function, text("system"))
    return function + b"(" + _touch(marker) + b"tR"


def reduce_of_torch(marker: Path) -> bytes:
    """A function of torch that reads an ordinary pickle out of bytes."""
    inner = b"\x80\x02" + called("os", "system", _touch(marker)) + b"."
    return called("torch.storage", "_load_from_bytes", called("builtins", "bytes", _list(inner)))


def new_object(marker: Path) -> bytes:
    return b"csubprocess\nPopen\n(" + _command(marker) + b"t\x81}b"


def instance(marker: Path) -> bytes:
    return b"(" + _touch(marker) + b"ios\nsystem\n"


def instance_by_stack(marker: Path) -> bytes:
    return b"(csubprocess\nPopen\n" + _command(marker) + b"o"


def name_from_stack(marker: Path) -> bytes:
    """As protocol 4 writes it."""
    return b"\x8c\x02os\x8c\x06system\x93(" + _touch(marker) + b"tR"


def build_of_a_dictionary(marker: Path) -> bytes:
    """An allowed object is given a method, which is then called with a state."""
    method = b"}" + text("__setstate__") + b"cos\nsystem\ns"
    return b"ccollections\nOrderedDict\n)R" + method + b"b" + _touch(marker) + b"b"


def build_of_a_function(_: Path) -> bytes:
    state = b"}" + text("__defaults__") + number(1) + b"\x85s"
    return b"ctorch._utils\n_rebuild_tensor_v2\nN" + state + b"\x86b"


def subclass_of_a_dictionary(marker: Path) -> bytes:
    items = text("a") + called("os", "system", _touch(marker))
    return b"cevil\nOrderedDict\n)R" + items + b"s"


def in_a_dictionary(marker: Path) -> bytes:
    items = text("a") + called("os", "system", _touch(marker))
    return b"ccollections\nOrderedDict\n)R" + items + b"s"


def in_a_namespace(marker: Path) -> bytes:
    state = b"}" + text("x") + called("os", "system", _touch(marker)) + b"s"
    return b"cargparse\nNamespace\n)\x81" + state + b"b"


def default_of_a_dictionary(marker: Path) -> bytes:
    return called("collections", "defaultdict", reduce_os_system(marker))


def copyreg_reconstructor(marker: Path) -> bytes:
    kind = b"csubprocess\nPopen\nc__builtin__\nobject\nN"
    state = b"}" + text("args") + _touch(marker) + b"s"
    return b"ccopyreg\n_reconstructor\n(" + kind + b"tR" + state + b"b"


def copyreg_extension(marker: Path) -> bytes:
    added = called("copyreg", "add_extension", text("os"), text("system"), number(240))
    return added + b"0\x82\xf0(" + _touch(marker) + b"tR"


def persistent_name(marker: Path) -> bytes:
    return b"(" + text("storage") + reduce_os_system(marker) + text("0") + text("cpu") + b"K\x04tQ"


def persistent_kind(_: Path) -> bytes:
    return b"(" + text("module") + b"cos\nsystem\n" + text("0") + text("cpu") + b"K\x04tQ"


def persistent_line(marker: Path) -> bytes:
    return f"Pos.system touch {marker}\n".encode()


def _list(data: bytes) -> bytes:
    return b"](" + b"".join(b"K" + bytes([byte]) for byte in data) + b"e"


def _command(marker: Path) -> bytes:
    return b"](" + text("touch") + text(str(marker)) + b"e"


PAYLOADS: dict[str, Payload] = {
    function.__name__: function
    for function in (
        reduce_os_system,
        reduce_posix_system,
        reduce_exec,
        reduce_eval_of_python_2,
        reduce_getattr,
        reduce_of_torch,
        new_object,
        instance,
        instance_by_stack,
        name_from_stack,
        build_of_a_dictionary,
        build_of_a_function,
        subclass_of_a_dictionary,
        in_a_dictionary,
        in_a_namespace,
        default_of_a_dictionary,
        copyreg_reconstructor,
        copyreg_extension,
        persistent_name,
        persistent_kind,
        persistent_line,
    )
}


def nested_tuples() -> bytes:
    """As a key: its hash would recurse until the process ends."""
    return b"})" + b"\x85" * 1_000_000 + b"K\x01s"


def doubled_tuples() -> bytes:
    """As a key: its hash would take 2 ** 60 steps. Above any number that torch itself puts."""
    return b"})" + b"r\x00\x00\x00\x7fj\x00\x00\x00\x7f\x86" * 60 + b"K\x01s"


def doubled_text() -> bytes:
    """256 bytes, doubled 30 times."""
    first = called("_codecs", "encode", text("a" * 256), text("latin1"))
    return b"c_codecs\nencode\n" * 30 + first + (text("hex") + b"\x86R") * 30


def zeros_by_number() -> bytes:
    return called("builtins", "bytearray", number(1 << 35))


def text_longer_than_the_file() -> bytes:
    return b"X\xf0\xff\xff\xffabc"


def number_longer_than_the_file() -> bytes:
    return b"\x8b\xf0\xff\xff\x7fabc"


BOMBS: dict[str, Callable[[], bytes]] = {
    function.__name__: function
    for function in (
        nested_tuples,
        doubled_tuples,
        doubled_text,
        zeros_by_number,
        text_longer_than_the_file,
        number_longer_than_the_file,
    )
}
