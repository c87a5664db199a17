"""One shard: a safetensors file, and its record (`records`), written after it.

The hash in the record is of the bytes in memory, so that a fault in writing shows up on reading.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save
from torch import Tensor

from harness.features.errors import FeatureError
from harness.features.manifest import Manifest, remedy
from harness.features.records import file_of, record_of, recorded
from results.files import write_bytes, write_text


def write(folder: Path, manifest: Manifest, shard: int, tensors: Mapping[str, Tensor]) -> None:
    """Write a shard, whole or not at all.

    Raises:
        FeatureError: the tensors are not what the manifest promises, or not finite.
        OSError: it cannot be written.
    """
    _require_promised(manifest, shard, tensors)
    _require_finite(manifest, shard, tensors)
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    content = save(plain, metadata=_metadata(manifest, shard))
    sha256 = write_bytes(file_of(folder, shard), content)
    record = {"sha256": sha256, "bytes": len(content), "device": manifest.origin.device}
    write_text(record_of(folder, shard), json.dumps(record, sort_keys=True) + "\n")


def read(folder: Path, manifest: Manifest, shard: int) -> dict[str, Tensor]:
    """Read a shard into memory once its bytes are as written.

    Raises:
        FeatureError: it is not there, cut short, changed, or another.
    """
    path = file_of(folder, shard)
    content = _content(folder, shard)
    if hashlib.sha256(content).hexdigest() != recorded(folder, shard)[0]:
        raise _changed(path)
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    _require_own(header.get("__metadata__"), manifest, shard, path)
    return dict(load(content))


def mapped(folder: Path, manifest: Manifest, shard: int) -> dict[str, Tensor]:
    """The tensors of a shard, mapped into memory once its bytes are as written: the file is read
    through for that, and kept in no memory.

    Raises:
        FeatureError: as `read`.
    """
    path = file_of(folder, shard)
    sha256, _ = recorded(folder, shard)
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != sha256:
            raise _changed(path)
        with safe_open(str(path), framework="pt") as opened:
            _require_own(opened.metadata(), manifest, shard, path)
            return {name: opened.get_tensor(name) for name in manifest.shapes}
    except (OSError, SafetensorError) as error:
        raise FeatureError(f"{path} cannot be read ({error}); {remedy(folder.name)}") from error


def _content(folder: Path, shard: int) -> bytes:
    path = file_of(folder, shard)
    recorded(folder, shard)
    try:
        return path.read_bytes()
    except OSError as error:
        raise FeatureError(
            f"{path} cannot be read ({error.strerror}); {remedy(folder.name)}"
        ) from error


def _metadata(manifest: Manifest, shard: int) -> dict[str, str]:
    # One entry: safetensors writes several in any order, and equal features shall be equal bytes.
    return {"features": f"{manifest.sha256} {shard}"}


def _require_own(
    metadata: Mapping[str, str] | None, manifest: Manifest, shard: int, path: Path
) -> None:
    if metadata != _metadata(manifest, shard):
        raise FeatureError(
            f"{path} is another shard, or of other features; {remedy(path.parent.name)}"
        )


def _changed(path: Path) -> FeatureError:
    return FeatureError(
        f"{path} is not as it was written (its sha256 is another); {remedy(path.parent.name)}"
    )


def _require_promised(manifest: Manifest, shard: int, tensors: Mapping[str, Tensor]) -> None:
    length, dtype = manifest.length(shard), getattr(torch, str(manifest.key["dtype"]))
    promised = {name: (length, *shape) for name, shape in manifest.shapes.items()}
    given = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if given != promised:
        raise FeatureError(f"expected features of the shapes {promised}, got {given}")
    if wrong := {name: str(t.dtype) for name, t in tensors.items() if t.dtype != dtype}:
        raise FeatureError(f"expected features of {dtype}, got {wrong}")


def _require_finite(manifest: Manifest, shard: int, tensors: Mapping[str, Tensor]) -> None:
    for name, tensor in tensors.items():
        broken = ~tensor.isfinite().reshape(len(tensor), -1).all(1)
        if broken.any():
            first = shard * manifest.shard + int(broken.nonzero()[0])
            raise FeatureError(
                f"the features `{name}` of {int(broken.sum())} samples are not finite, the first "
                f"of them sample {first}: look at that image, or, where they are kept or computed "
                "as float16 or bfloat16, do so as float32"
            )
