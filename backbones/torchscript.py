"""Reading the weights out of a TorchScript program, none of whose code is run or even looked at.

Such a file is a zip archive with the program under `code/`, its modules as a pickle, and one member
for each storage. The modules' classes are the program's own; here each is replaced by a stand-in
that remembers its attributes, and the tensors among these are the state dict.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.storage import TypedStorage

from backbones.errors import LoadError
from backbones.unpickle import Inert, Unpickler

_MARK = "/constants.pkl"
_NO_MODULES = "torch.jit._pickle"
"""Where what rebuilds lists of numbers and of tensors lies; no module has its parameters there."""


def is_script(members: list[str]) -> bool:
    """Whether an archive with these members is a TorchScript program."""
    return any(name.endswith(_MARK) for name in members)


def read_script(path: Path) -> dict[str, Tensor]:
    """Return parameters and buffers of a program's modules, on the CPU.

    Raises:
        LoadError: the pickle asks for anything beside tensors and the program's own classes, or a
            storage is compressed, missing or of another size than it should be; or a module keeps
            tensors in a list or a dictionary, which a state dict has no names for.
    """
    with zipfile.ZipFile(path) as archive:
        root = next(n for n in archive.namelist() if n.endswith(_MARK)).removesuffix(_MARK)
        reader = _Reader(io.BytesIO(_member(archive, f"{root}/data.pkl")), archive, root)
        return dict(_tensors("", reader.load(), set()))


_NUMBERS = {
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "DoubleStorage": torch.float64,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


class _Module(Inert):
    """Takes the place of a module of the program, and remembers what it consists of."""

    attributes: Mapping[Any, Any] = {}

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, Mapping):
            self.attributes = dict(state)


class _Listed(Inert):
    """Takes the place of a list or dictionary with types, and remembers what it was made of."""

    def __init__(self, *parts: Any) -> None:
        super().__init__()
        self.parts = parts


class _Reader(Unpickler):
    def __init__(self, file: io.BytesIO, archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(file)
        self._archive, self._root = archive, root
        self._storages: dict[str, TypedStorage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if module == "__torch__" or module.startswith("__torch__."):
            return _Module
        if module == "torch" and name in _NUMBERS:
            return _NUMBERS[name]
        return _Listed if module == _NO_MODULES else super().find_class(module, name)

    def persistent_load(self, said: Any) -> TypedStorage:
        """Return the storage that ("storage", type, key, device, number of values) tells of."""
        _, dtype, key, _, count = said
        if key not in self._storages:
            data = bytearray(_member(self._archive, f"{self._root}/data/{key}"))
            if len(data) != count * dtype.itemsize:
                raise LoadError(f"has a storage {key} of {len(data)} bytes, not {count} values")
            values = torch.frombuffer(data, dtype=torch.uint8) if data else torch.empty(0)
            storage: Any = TypedStorage  # which has no types of its own
            self._storages[key] = storage(
                wrap_storage=values.untyped_storage(), dtype=dtype, _internal=True
            )
        return self._storages[key]


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    if archive.getinfo(name).compress_type != zipfile.ZIP_STORED:
        raise LoadError(f"has a compressed {name}, which torch does not write; copy it again")
    return archive.read(name)


def _tensors(prefix: str, module: Any, seen: set[int]) -> Iterator[tuple[str, Tensor]]:
    """Yield name and value of all tensors in a module and in those within it."""
    if id(module) in seen:
        raise LoadError(
            f"has one module at two places, one of them {prefix}; save its state_dict()"
        )
    seen.add(id(module))
    for name, value in getattr(module, "attributes", {}).items():
        if isinstance(value, Tensor):
            yield f"{prefix}{name}", value
        elif isinstance(value, _Module):
            yield from _tensors(f"{prefix}{name}.", value, seen)
        elif _holds_tensors(value):
            raise LoadError(
                f"keeps tensors in {prefix}{name}, which is no parameter, buffer or module; save "
                "the state_dict() of the encoder and give that"
            )


def _holds_tensors(value: Any) -> bool:
    if isinstance(value, Tensor | _Module):
        return True
    if isinstance(value, _Listed):
        return any(map(_holds_tensors, value.parts))
    if isinstance(value, Mapping):
        return any(map(_holds_tensors, value.values()))
    return isinstance(value, list | tuple) and any(map(_holds_tensors, value))
