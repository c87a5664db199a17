"""When two things are the same."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import torch

from tasks.contract import Handle, Ragged


def equal(a: Any, b: Any) -> bool:
    """Whether nested structures of arrays, tensors and plain values are the same, bit for bit."""
    if isinstance(a, Ragged):
        return isinstance(b, Ragged) and equal(a.values, b.values)
    if isinstance(a, Handle):
        return isinstance(b, Handle) and pickle.dumps(a.value) == pickle.dumps(b.value)
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(equal(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(equal, a, b))
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, np.ndarray):
        return np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    return bool(a == b)
