"""Reading published checkpoints that carry configuration objects, without running their code.

`torch.load(weights_only=True)` refuses a file with an `argparse.Namespace` beside the weights. Here
every name that a pickle asks for is looked up in two closed lists: what rebuilds tensors, and what
is replaced by an inert stand-in. Nothing is ever imported on a file's behalf.
"""

from __future__ import annotations

import collections
import pickle
from types import SimpleNamespace
from typing import IO, Any

import torch
from torch import _utils

from backbones.errors import LoadError


class Inert(dict[Any, Any]):
    """Takes the place of an object that is of no use here, and forgets all that it is given."""

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()

    def __setstate__(self, _: Any) -> None: ...

    def __setitem__(self, _: Any, __: Any) -> None: ...


_STAND_INS = {
    ("argparse", "Namespace"),
    ("yacs.config", "CfgNode"),
    ("pathlib", "Path"),
    ("pathlib", "PosixPath"),
    ("pathlib", "WindowsPath"),
    ("numpy", "dtype"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy._core.multiarray", "scalar"),
    ("_codecs", "encode"),
}

_DTYPE_NAMES = "float16 bfloat16 float32 float64 int8 uint8 int16 int32 int64 bool"
_STORAGE_NAMES = "Float Half BFloat16 Double Long Int Short Char Byte Bool"
_TYPES = {
    ("torch", name): getattr(torch, name)
    for name in [*_DTYPE_NAMES.split(), *(f"{kind}Storage" for kind in _STORAGE_NAMES.split())]
}
_TENSORS: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("collections", "defaultdict"): collections.defaultdict,
    ("torch._utils", "_rebuild_tensor_v2"): _utils._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): _utils._rebuild_parameter,
    ("torch", "Size"): torch.Size,
    ("torch", "device"): torch.device,
    ("torch.storage", "UntypedStorage"): torch.UntypedStorage,
    **_TYPES,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _TENSORS:
            return _TENSORS[module, name]
        if (module, name) in _STAND_INS:
            return Inert
        raise LoadError(
            f"asks for {module}.{name}, which is neither weights nor a known configuration "
            "object; files that could run code are refused"
        )


def _load(file: IO[bytes], **options: Any) -> Any:
    return _Unpickler(file, **options).load()


_PICKLE_MODULE = SimpleNamespace(
    Unpickler=_Unpickler, load=_load, UnpicklingError=pickle.UnpicklingError, __name__="pickle"
)


def load_inert(path: str) -> Any:
    """Read a torch file with stand-ins for its configuration objects; tensors on the CPU.

    Raises:
        LoadError: the file asks for anything that is on neither list.
    """
    return torch.load(path, map_location="cpu", weights_only=False, pickle_module=_PICKLE_MODULE)
