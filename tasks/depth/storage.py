"""Predicted depth maps as bytes: what is stored is what is measured."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tasks.contract import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Map = NDArray[np.float32]
    Mask = NDArray[np.bool_]
    Words = NDArray[np.unsignedinteger[Any]]

Keep = Literal["float32", "uint16", "valid"]

_KINDS: tuple[Keep, ...] = ("float32", "uint16", "valid")
_HEAD = struct.Struct("<BIIdII")
"""Kind, height, width, metres a step of `uint16`, checksums of the mask of `valid` and of what
follows."""
_LEVELS = 65535
_FLOAT, _SHORT = np.dtype("<u4"), np.dtype("<u2")


def pack(depth: Map, keep: Keep, cap: float, valid: Mask) -> bytes:
    """A map as bytes.

    `float32`: every pixel, exactly. `uint16`: every pixel rounded to steps of cap / 65535,
    those above 0 to one step at least, so that they keep a logarithm. `valid`: exactly, but only
    the pixels of the mask. Each number is stored as the difference to what its neighbours on the
    left and above let expect (of floats their bits are taken as whole numbers), then byte planes,
    then Zstandard.

    Args:
        depth: (h,w) metres.
        keep: what is stored.
        cap: the end of `uint16`, metres.
        valid: (h,w) where the truth counts.

    Raises:
        DataError: under `uint16` a pixel that is negative, above `cap`, or no number.
    """
    depth = np.ascontiguousarray(depth, "<f4")
    step, check = 0.0, 0
    if keep == "uint16":
        step = cap / _LEVELS
        words: Words = _steps(depth, step)
    elif keep == "valid":
        words, check = depth[valid].view(_FLOAT)[None], _checksum(valid)
    else:
        words = depth.view(_FLOAT)
    body = _compress(words)
    return _HEAD.pack(_KINDS.index(keep), *depth.shape, step, check, zlib.crc32(body)) + body


def unpack(content: object, shape: tuple[int, int] | None = None, valid: Mask | None = None) -> Map:
    """The map (h,w) in metres that `pack` was given, as far as it was kept.

    Args:
        content: what `pack` gave; anything else is refused.
        shape: refuse maps of another one.
        valid: (h,w) the mask that `pack` was given; for `keep=valid` alone, where other pixels
            come back as NaN.

    Raises:
        DataError: damaged, of another shape, or made with another mask.
    """
    if not isinstance(content, bytes) or len(content) < _HEAD.size:
        raise DataError("it is no stored depth map")
    kind, height, width, step, check, whole = _HEAD.unpack_from(content)
    body = content[_HEAD.size :]
    if kind >= len(_KINDS):
        raise DataError("it is no stored depth map")
    if zlib.crc32(body) != whole:
        raise DataError("it is damaged: its checksum is wrong")
    if shape is not None and shape != (height, width):
        raise DataError(f"it is {height}x{width}, expected {shape[0]}x{shape[1]}")
    if _KINDS[kind] == "uint16":
        steps = _decompress(body, (height, width), _SHORT)
        rounded: Map = (steps.astype(np.float64) * step).astype(np.float32)
        return rounded
    if _KINDS[kind] == "float32":
        exact: Map = _decompress(body, (height, width), _FLOAT).view(np.float32)
        return exact
    if valid is None or valid.shape != (height, width) or _checksum(valid) != check:
        raise DataError(
            "it was kept only where the truth counted, and other pixels count here; rescore under "
            "the protocol of the run, or run with `predictions.keep` float32 or uint16"
        )
    found = np.full((height, width), np.nan, np.float32)
    found[valid] = _decompress(body, (1, int(valid.sum())), _FLOAT).view(np.float32)[0]
    return found


def _steps(depth: Map, step: float) -> Words:
    with np.errstate(invalid="ignore"):
        steps = np.rint(depth.astype(np.float64) / step)
    wrong = int((~((depth >= 0) & (steps <= _LEVELS))).sum())
    if wrong:
        raise DataError(
            f"{wrong} of {depth.size} predicted pixels are negative, above {step * _LEVELS:g} m "
            "or no number, which `predictions.keep=uint16` cannot store; set it to float32"
        )
    words: Words = np.maximum(steps, depth > 0).astype(_SHORT)
    return words


def _compress(words: Words) -> bytes:
    import pyarrow

    rest = words.copy()
    rest[:, 1:] -= words[:, :-1]
    rest[1:] -= rest[:-1].copy()
    # Small differences of either sign become small numbers: 0, -1, 1, -2 ... are 0, 1, 2, 3 ...
    bits = 8 * words.itemsize
    sign = np.where(rest >> (bits - 1), ~rest.dtype.type(0), rest.dtype.type(0))
    planes = ((rest << 1) ^ sign).view(np.uint8).reshape(-1, words.itemsize).T
    packed: bytes = pyarrow.compress(np.ascontiguousarray(planes).data, codec="zstd", asbytes=True)
    return packed


def _decompress(content: bytes, shape: tuple[int, int], kind: np.dtype[Any]) -> Words:
    import pyarrow

    size = shape[0] * shape[1] * kind.itemsize
    try:
        planes = pyarrow.decompress(content, size, codec="zstd", asbytes=True)
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"it is damaged ({' '.join(str(error).split())})") from None
    if len(planes) != size:
        raise DataError(f"it is damaged ({len(planes)} bytes where {size} were stored)")
    each = np.frombuffer(planes, np.uint8).reshape(kind.itemsize, -1).T
    folded = np.ascontiguousarray(each).view(kind).reshape(shape)
    one = kind.type(1)
    rest = (folded >> one) ^ -(folded & one)
    # Sums wrap as the differences did.
    words: Words = rest.cumsum(axis=0, dtype=kind).cumsum(axis=1, dtype=kind)
    return words


def _checksum(valid: Mask) -> int:
    return zlib.crc32(np.packbits(valid).tobytes())
