"""Reading what torch.save writes, zip and legacy: looked through before anything is allocated."""

from __future__ import annotations

import io
import mmap
import pickle
import warnings
import zipfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from backbones.errors import LoadError
from backbones.pickle_codes import names_in
from backbones.torchscript import is_script, read_script
from backbones.unpickle import Inert, Unpickler, load_inert

_LEGACY_PICKLES = 5
"""Magic number, version, system, content, keys of the storages; their bytes follow."""


def read_torch(path: Path, container: str) -> Any:
    """Return the content of a file, of a TorchScript program its weights; tensors on the CPU.

    Args:
        path: the file.
        container: "torch zip" or "torch pickle".

    Raises:
        LoadError: it is damaged, claims more than it has, or has code in it.
    """
    try:
        return _read_zip(path) if container == "torch zip" else _read_pickles(path)
    except LoadError as error:
        raise LoadError(f"{path} {error}") from None
    except Exception as error:  # a damaged file may raise anything
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise LoadError(
            f"{path} is damaged or truncated ({reason}); copy or download it again"
        ) from error


def check_amount(state: Mapping[Any, Any], path: Path, size: int) -> None:
    """Compare the tensors with the file: by strides of 0 a few bytes pass for any number.

    Args:
        state: the tensors.
        path: the file.
        size: of the file in bytes.

    Raises:
        LoadError: together they have more elements than the file has bytes.
    """
    elements = sum(value.numel() for value in state.values() if isinstance(value, Tensor))
    if elements > size:
        raise LoadError(
            f"{path} claims tensors of {elements} elements, but has only {size} bytes; expanded "
            "tensors are refused: save copies of them (clone())"
        )


def _read_zip(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive:
        script = _check_members(archive, path)
    # By torch's own reader, so that it is the very pickle that will be read.
    pickled = torch._C.PyTorchFileReader(str(path)).get_record("data.pkl")
    asked = names_in(io.BytesIO(pickled))
    return read_script(path) if script else _unpickled(path, asked)


def _read_pickles(path: Path) -> Any:
    asked: set[str] = set()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        for _ in range(_LEGACY_PICKLES):
            asked |= names_in(content)  # type: ignore[arg-type]
        content.seek(0)
        claims = _Claims(content)
        for _ in range(_LEGACY_PICKLES):
            claims.load()
    if sum(claims.elements.values()) > path.stat().st_size:
        raise LoadError(
            f"claims storages of {sum(claims.elements.values())} elements, but has only "
            f"{path.stat().st_size} bytes; copy or download it again"
        )
    return _unpickled(path, asked)


class _Claims(Unpickler):
    """Builds nothing, but adds up the storages, for which torch takes memory by their number."""

    def __init__(self, file: Any) -> None:
        super().__init__(file)
        self.elements: dict[str, int] = {}

    def find_class(self, module: str, name: str) -> Any:
        return Inert

    def persistent_load(self, said: Any) -> Inert:
        _, _, key, _, self.elements[key], *_ = said
        return Inert()


def _unpickled(path: Path, asked: set[str]) -> Any:
    if not any(map(_grows, asked)):
        try:
            with warnings.catch_warnings():
                # What torch warns of, sparse tensors, is refused later, in one line of our own.
                warnings.simplefilter("ignore", UserWarning)
                return torch.load(path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError:
            pass  # a class that torch does not know, which the stricter reader names
    return load_inert(str(path))


def _grows(name: str) -> bool:
    """Whether torch calls this with a file's arguments to make much out of few bytes."""
    return name.startswith("_codecs ") or name.endswith(" bytearray")


def _check_members(archive: zipfile.ZipFile, path: Path) -> bool:
    """Look through an archive; return whether it is a TorchScript program."""
    names = archive.namelist()
    if not any(name.endswith("/data.pkl") for name in names):
        raise LoadError("is a zip archive without a torch checkpoint in it")
    # torch looks its entries up without regard to case.
    twice = [name for name, count in Counter(map(str.lower, names)).items() if count > 1]
    if twice:
        raise LoadError(f"has several entries of one name: {', '.join(twice)}; save it again")
    # A program's code, the one thing that torch compresses, is never read.
    members = [member for member in archive.infolist() if "/code/" not in member.filename]
    _check_size(members, path)
    _check_sums(archive, members)
    return is_script(names)


def _check_size(members: list[zipfile.ZipInfo], path: Path) -> None:
    """Refuse what unpacks to more than it is: by compression, or by entries that overlap."""
    unpacked = sum(member.file_size for member in members)
    size = path.stat().st_size
    if unpacked > size:
        raise LoadError(
            f"is compressed, or its entries overlap: it would unpack to {unpacked} bytes, but has "
            f"only {size}; torch.save does neither: read it where you trust it and save it again"
        )


def _check_sums(archive: zipfile.ZipFile, members: list[zipfile.ZipInfo]) -> None:
    """Read what has a checksum to the end, where zipfile compares; torch itself does not."""
    for member in members:
        # 0 stands for none: what torch.save writes after set_crc32_options(False) and skip_data().
        if member.CRC:
            with archive.open(member) as file:
                while file.read(1 << 20):
                    pass
