"""Reading checkpoint files, which are hostile until shown otherwise."""

from __future__ import annotations

import hashlib
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

import torch
from torch import Tensor

from backbones.errors import LoadError
from backbones.fingerprints import Fingerprint, Stamp, fingerprint, require_unchanged, stamps
from backbones.safetensors_files import index_in, read_shards, read_single, shards_of
from backbones.torch_files import check_amount, read_torch

_SAVE = "save it as float32"
_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")
"""First bytes of what gzip, bzip2, xz and zstd write."""
_WRAPPERS = (
    *("model", "model_state", "state_dict", "teacher", "module"),
    *("target_encoder", "encoder"),
)
_GROUPS = (("teacher", "student"), ("target_encoder", "encoder", "predictor"))
"""Keys of networks of equal standing, of which a layout has to choose one."""


@dataclass(frozen=True)
class Checkpoint:
    """The state dict of a file, as it stands there.

    Attributes:
        path: the file; of a checkpoint in shards its index.
        sha256: of its bytes; of a checkpoint in shards that of their hashes, by their names.
        container: "safetensors", "safetensors index", "torch zip" or "torch pickle".
        wrapper: the top-level key under which the state dict lies, or None; "teacher and student"
            where both are there, the names then beginning with `teacher.` or `student.`; I-JEPA's
            three networks alike.
        stripped: whether the prefix `module.` of a parallel wrapper was taken off all names.
        tensors: name -> tensor; floating point as float32.
        metadata: strings beside the tensors of a safetensors file.
        beside: other top-level keys of the file.
        notes: what was done in reading.
        stamps: of the file, or of index and shards, from before they were read or verified.
            Tensors may be views of the file: whoever has copied them calls `require_unchanged`.
    """

    path: Path
    sha256: str
    container: str
    wrapper: str | None
    stripped: bool
    tensors: dict[str, Tensor]
    metadata: dict[str, str]
    beside: tuple[str, ...]
    notes: tuple[str, ...]
    stamps: Mapping[Path, Stamp] = field(default_factory=dict)

    def require_unchanged(self) -> None:
        """Make sure that what was copied out of the file is what its hash is of.

        Raises:
            LoadError: the file has changed since.
        """
        require_unchanged(self.stamps)


def read(path: Path, verified: Fingerprint | None = None) -> Checkpoint:
    """Read a checkpoint: safetensors, whole or in shards, or what torch.save writes.

    Args:
        path: the file, zip or legacy pickle where it is torch's; of a checkpoint in shards its
            index, or the folder with the index.
        verified: what is known of the file already, which is then not hashed again.

    Raises:
        LoadError: no such file, no checkpoint, damaged, without weights, or with code in it.
    """
    path = index_in(path) if _is_folder(path) else path
    container = sniff(path)
    before = {path: verified.stamp} if verified else stamps([path])
    parts = [path]
    if container == "safetensors index":
        parts = list(shards_of(path))
        before |= stamps(parts)
    metadata: dict[str, str] = {}
    content: Any
    if container == "safetensors index":
        content, metadata = read_shards(path)
    elif container == "safetensors":
        content, metadata = read_single(path)
    else:
        content = read_torch(path, container)
    wrapper, state, beside = _unwrap(content, path)
    if container.startswith("torch"):
        check_amount(state, path, before[path].size)
    _check_names(state, path)
    stripped = all(name.startswith("module.") for name in state)
    if stripped:
        state = {name.removeprefix("module."): value for name, value in state.items()}
    tensors, notes = _as_float32(state, path)
    sha256 = verified.sha256 if verified else _sha256(parts, container)
    require_unchanged(before)
    return Checkpoint(
        path, sha256, container, wrapper, stripped, tensors, metadata, beside, notes, before
    )


def sniff(path: Path, called: str | None = None) -> str:
    """Tell a checkpoint's container from its first bytes.

    Args:
        path: the file.
        called: what messages call it; its path if None.

    Raises:
        LoadError: the file is missing, empty, an HTML page or no checkpoint.
    """
    name = called or path
    head, size = _head(path)
    if not head:
        raise LoadError(f"{name} is empty; copy or download it again")
    # Before all else: the length of its header, with which it begins, may look like anything.
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= size - 8:
        return "safetensors"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        raise LoadError(
            f"{name} is an HTML page, not a checkpoint: the server sent a page (a login, a warning "
            "or an error) in place of the file; download it by hand"
        )
    if head.startswith(b"PK\x03\x04"):
        return "torch zip"
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "torch pickle"
    if head.startswith(_COMPRESSED) or head[257:262] == b"ustar":
        raise LoadError(
            f"{name} is a tar archive or compressed; unpack it and give the checkpoint in it"
        )
    if text.startswith(b"{") and b"\0" not in head:
        return "safetensors index"
    if head[8:9] == b"{":
        return "safetensors"  # cut within its header
    raise LoadError(
        f"{name} is no checkpoint: expected safetensors or a file of torch.save, found "
        f"one that begins with {head[:8]!r}"
    )


def _sha256(parts: list[Path], container: str) -> str:
    hashes = [fingerprint(part).sha256 for part in parts]
    if container != "safetensors index":
        return hashes[0]
    return hashlib.sha256("".join(hashes).encode()).hexdigest()


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # such as a name longer than the system takes, which is told on reading
        return False


def _head(path: Path) -> tuple[bytes, int]:
    """Return the first bytes of a file, and its size."""
    try:
        if not path.is_file():
            found = "a pipe, socket or device" if path.exists() else "nothing"
            raise LoadError(f"{path}: expected a checkpoint file, found {found}")
        with path.open("rb") as file:
            return file.read(512), path.stat().st_size
    except OSError as error:
        raise LoadError(f"{path} cannot be read: {error.strerror}") from error


def _unwrap(content: Any, path: Path) -> tuple[str | None, dict[str, Any], tuple[str, ...]]:
    """Find the state dict: under a usual key, or the content itself."""
    if not isinstance(content, Mapping):
        raise LoadError(f"{path} holds a {type(content).__name__}; expected a state dict")
    for group in _GROUPS:
        there = [key for key in group if _is_state(content.get(key))]
        if len(there) > 1:
            return " and ".join(there), _joined(content, there), _others(content, *there)
    for key in _WRAPPERS:
        inner = content.get(key)
        if _is_state(inner):
            return key, dict(inner), _others(content, key)
    if not any(isinstance(value, Tensor) for value in content.values()):
        keys = ", ".join(_shown(key) for key in list(content)[:8])
        raise LoadError(
            f"{path} holds no weights: no tensors at its top level nor under "
            f"{', '.join(_WRAPPERS)}; its keys: {keys or 'none'}"
        )
    return None, dict(content), ()


def _shown(key: Any) -> str:
    return key if isinstance(key, str) else reprlib.repr(key)


def _is_state(value: Any) -> TypeGuard[Mapping[Any, Any]]:
    return isinstance(value, Mapping) and any(isinstance(v, Tensor) for v in value.values())


def _others(content: Mapping[Any, Any], *keys: str) -> tuple[str, ...]:
    return tuple(_shown(key) for key in content if key not in keys)


def _joined(content: Mapping[Any, Any], keys: list[str]) -> dict[str, Any]:
    """Return the tensors of several networks under one roof."""
    return {
        f"{key}.{name}" if isinstance(name, str) else name: value
        for key in keys
        for name, value in content[key].items()
    }


def _check_names(state: Mapping[Any, Any], path: Path) -> None:
    wrong = [reprlib.repr(name) for name in state if not isinstance(name, str)]
    if wrong:
        raise LoadError(
            f"{path}: expected the names of tensors to be text, found {', '.join(wrong[:8])}; "
            "save the state_dict() of the encoder and give that"
        )


def _as_float32(state: dict[str, Any], path: Path) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    others = [name for name, value in state.items() if not isinstance(value, Tensor)]
    if others:
        raise LoadError(
            f"{path}: entries of the state dict that are no tensors: {', '.join(others)}"
        )
    _check_dense(state, path)
    kinds: dict[str, int] = {}
    tensors: dict[str, Tensor] = {}
    for name, value in state.items():
        if value.is_floating_point() and value.dtype != torch.float32:
            kind = str(value.dtype).removeprefix("torch.")
            kinds[kind] = kinds.get(kind, 0) + 1
            value = _float32(value, name, path)
        tensors[name] = value.detach()
    broken = [n for n, v in tensors.items() if v.is_floating_point() and not v.isfinite().all()]
    if broken:
        raise LoadError(f"{path}: tensors with infinite or missing values: {', '.join(broken)}")
    return tensors, tuple(f"{n} tensors of {kind} read as float32" for kind, n in kinds.items())


def _float32(value: Tensor, name: str, path: Path) -> Tensor:
    try:
        return value.float()
    except NotImplementedError as error:  # packed types, such as the 4-bit ones
        raise LoadError(
            f"{path}: {name} is of {value.dtype}, which torch cannot convert; {_SAVE}"
        ) from error


def _check_dense(state: Mapping[str, Tensor], path: Path) -> None:
    wrong = [
        f"{name} ({'meta' if value.is_meta else str(value.layout).removeprefix('torch.')})"
        for name, value in state.items()
        if value.layout != torch.strided or value.is_meta
    ]
    if wrong:
        raise LoadError(
            f"{path}: expected dense tensors, found {', '.join(wrong)}; convert them "
            "(to_dense()) and save the file again"
        )
