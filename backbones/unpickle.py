"""Reading published checkpoints that carry configuration objects, without running their code.

`torch.load(weights_only=True)` refuses a file with an `argparse.Namespace` beside the weights. Here
every name that a pickle asks for is looked up in two closed lists: what rebuilds tensors and plain
containers, and what is replaced by an inert stand-in. Nothing is ever imported on a file's behalf.
"""

from __future__ import annotations

import collections
import pickle
from types import SimpleNamespace
from typing import IO, Any, ClassVar

import torch
from torch import _utils

from backbones.errors import LoadError


class Inert(dict[Any, Any]):
    """Takes the place of an object that is of no use here, and forgets all that it is given."""

    # Paths and numbers, which it stands for, lie in sets and are keys.
    __hash__ = object.__hash__  # type: ignore[assignment]

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()

    def __setstate__(self, _: Any) -> None: ...

    def __setitem__(self, _: Any, __: Any) -> None: ...


# Names of the same thing in numpy 1 and 2, and in pickles of protocol 2 and later.
_CORES = ("core", "_core")
_BUILTINS = ("__builtin__", "builtins")

_STAND_INS = {
    ("argparse", "Namespace"),
    ("yacs.config", "CfgNode"),
    ("pathlib", "Path"),
    ("pathlib", "PosixPath"),
    ("pathlib", "WindowsPath"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    *((f"numpy.{core}.multiarray", name) for core in _CORES for name in ("scalar", "_reconstruct")),
    *((f"numpy.{core}.numeric", "_frombuffer") for core in _CORES),
    ("_codecs", "encode"),
    *((module, "bytes") for module in _BUILTINS),
}

_DTYPE_NAMES = "float16 bfloat16 float32 float64 int8 uint8 int16 int32 int64 bool"
_STORAGE_NAMES = "Float Half BFloat16 Double Long Int Short Char Byte Bool"
_TYPES = {
    ("torch", name): getattr(torch, name)
    for name in [*_DTYPE_NAMES.split(), *(f"{kind}Storage" for kind in _STORAGE_NAMES.split())]
}
_REBUILT: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("collections", "defaultdict"): collections.defaultdict,
    ("torch._utils", "_rebuild_tensor_v2"): _utils._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): _utils._rebuild_parameter,
    ("torch", "Size"): torch.Size,
    ("torch", "device"): torch.device,
    ("torch.storage", "UntypedStorage"): torch.UntypedStorage,
    **_TYPES,
    **{(module, kind.__name__): kind for module in _BUILTINS for kind in (set, frozenset)},
}


_InPython: Any = pickle._Unpickler
"""The one in C cannot be told what may be given a state."""


class Unpickler(_InPython):  # type: ignore[misc]
    """Looks every name up in the two lists, and gives a state to what the file has made alone."""

    dispatch: ClassVar[dict[int, Any]] = dict(_InPython.dispatch)

    def load_build(self) -> None:
        """Give a state to what the file itself has made, never to torch's functions and types."""
        target = self.stack[-2]
        if not isinstance(target, Inert | collections.OrderedDict):
            raise LoadError(
                f"sets the state of {target!r}; files that could change the process are refused"
            )
        super().load_build()

    dispatch[pickle.BUILD[0]] = load_build

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _REBUILT:
            return _REBUILT[module, name]
        if (module, name) in _STAND_INS:
            return Inert
        raise LoadError(
            f"asks for {module}.{name}, which is neither weights nor a known configuration "
            "object; files that could run code are refused"
        )


def _load(file: IO[bytes], **options: Any) -> Any:
    return Unpickler(file, **options).load()


_PICKLE_MODULE = SimpleNamespace(
    Unpickler=Unpickler, load=_load, UnpicklingError=pickle.UnpicklingError, __name__="pickle"
)


def load_inert(path: str) -> Any:
    """Read a torch file with stand-ins for its configuration objects; tensors on the CPU.

    Raises:
        LoadError: the file asks for anything that is on neither list.
    """
    return torch.load(path, map_location="cpu", weights_only=False, pickle_module=_PICKLE_MODULE)
