"""Writing an encoder in our own layout."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as to_bytes

from backbones.contract import Backbone
from backbones.errors import LoadError
from backbones.formats.harness import KEY, VERSION

_FRESH = {"fc_norm.weight": 1.0, "fc_norm.bias": 0.0}
"""The values of a `fc_norm` that was never trained."""
_SAID = ("name", "objective", "licence", "data", "evidence")


def save(
    backbone: Backbone,
    path: str | Path,
    metadata: Mapping[str, Any],
    dtype: torch.dtype = torch.float16,
) -> None:
    """Write encoder, and decoder and head where they were kept, as one safetensors file.

    The file appears whole or not at all. A `fc_norm` that was never trained is left out, so that
    it is created anew on loading.

    Args:
        backbone: what is written.
        path: where to.
        metadata: `name`, `objective`, `licence`, `data`, `evidence` where they differ from those of
            `backbone.spec`; anything else is kept as it is. JSON-able.
        dtype: of the stored numbers.

    Raises:
        LoadError: values that `dtype` cannot hold.
    """
    spec = backbone.spec
    said: dict[str, Any] = {
        "version": VERSION,
        "family": spec.family,
        "arch": backbone.arch_as_run(),
        "mean": list(spec.mean),
        "std": list(spec.std),
        **{key: getattr(spec, key) for key in _SAID},
        **metadata,
    }
    tensors = {}
    state = backbone.state_dict()
    for name, value in state.items():
        if name in _FRESH and _is_untrained(state):
            continue
        stored = value.detach().cpu().contiguous()
        if value.is_floating_point():  # counters, as batch norms have them, stay whole
            stored = stored.to(dtype)
        if not stored.isfinite().all():
            raise LoadError(f"{name} has values that {dtype} cannot hold; save as float32")
        tensors[name] = stored
    target = Path(path)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(to_bytes(tensors, metadata={KEY: json.dumps(said, sort_keys=True)}))
        part.replace(target)
    except OSError as error:
        raise LoadError(f"{target} cannot be written: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)


def _is_untrained(state: Mapping[str, torch.Tensor]) -> bool:
    return all(bool((state[name] == value).all()) for name, value in _FRESH.items())
