"""Depth maps as files hold them: grey PNG of 16 bits in a declared unit, or NPY in metres."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from tasks import images
from tasks.contract import DataError
from tasks.depth.protocol import BENCHMARK, benchmark
from tasks.names import printable

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Size = tuple[int, int]

COUNT = "leave such images out, counted, with --set data.missing_truth=count"
_NEAREST, _FARTHEST = 1e-3, 10.0
"""Times the largest depth that is measured: between them half of a map must lie."""

_PNG = b"\x89PNG\r\n\x1a\n"
_COLOURS = {0: "grey", 2: "RGB", 3: "a palette", 4: "grey with alpha", 6: "RGB with alpha"}


class UnusableError(DataError):
    """A depth map that is whole, and of no use."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(f"{message}; {COUNT}")
        self.reason = reason


@dataclass(frozen=True)
class Stored:
    """A depth map in its own numbers.

    Attributes:
        values: (h,w) uint16 or float32, 0 where nothing was measured.
        unit: numbers a metre.
    """

    values: NDArray[Any]
    unit: float

    @property
    def size(self) -> Size:
        height, width = self.values.shape
        return height, width

    def metres(self) -> NDArray[np.float32]:
        """(h,w), as single-precision numbers divided by the unit."""
        metres: NDArray[np.float32] = np.divide(
            self.values, np.float32(self.unit), dtype=np.float32
        )
        return metres

    def at(self, size: Size) -> Stored:
        """At another size: each pixel takes the value at its centre, none are mixed."""
        if self.size == size:
            return self
        brought = cv2.resize(self.values, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
        return Stored(np.asarray(brought), self.unit)

    def window(self, top: int, left: int, size: Size) -> Stored:
        """The part of `size` whose first pixel is at (top, left)."""
        return Stored(self.values[top : top + size[0], left : left + size[1]], self.unit)

    def mirrored(self) -> Stored:
        """Left and right exchanged."""
        return Stored(np.asarray(cv2.flip(self.values, 1)), self.unit)


def read(path: Path, unit: float | None, max_depth: float) -> Stored:
    """Read a depth map.

    Args:
        path: a PNG or an NPY file.
        unit: of a PNG, numbers a metre; NPY holds metres.
        max_depth: the largest depth that is measured, in metres. Half of what was measured
            must lie between a thousandth and ten times of it: whatever lies above a hundredth of
            it leaves that range when the unit is wrong by 1000.

    Raises:
        UnusableError: nothing in it was measured.
        DataError: naming the file that is missing, damaged, of another kind, has numbers that are
            no depths, or whose range does not fit its unit.
    """
    name, content = printable(str(path)), images.stored(path)
    if content.startswith(_PNG):
        if unit is None:
            raise DataError(
                f"`{name}` has whole numbers of a unit that is not declared; say how many are a "
                "metre, as --set data.unit=1000 for millimetres"
            )
        found = Stored(_from_png(content, name), unit)
    elif path.suffix.lower() == ".npy":
        found = Stored(_from_npy(content, name), 1.0)
    else:
        raise _refusal(name, "it is neither a PNG nor an NPY file")
    _check_range(found, name, max_depth)
    return found


def kb_crop(values: NDArray[Any], name: str) -> NDArray[Any]:
    """KITTI's benchmark crop of (h,w,...): 352x1216 from the lower edge, in the middle, as
    MIM-Depth-Estimation cuts images and depth maps when it loads them.

    Raises:
        DataError: naming an image that is smaller.
    """
    (height, width), (h, w) = values.shape[:2], BENCHMARK
    if height < h or width < w:
        raise DataError(f"`{name}` is {width}x{height}, smaller than KITTI's crop of {w}x{h}")
    return values[benchmark((height, width))]


def _refusal(name: str, why: str) -> DataError:
    return DataError(f"cannot read the depth map `{name}`: {' '.join(why.split())}")


def _from_png(content: bytes, name: str) -> NDArray[np.uint16]:
    # OpenCV fills up what is missing of a PNG, and compares no checksum of its pixels.
    images.check_png(content, name)
    bits, colour = content[24], content[25]
    if (bits, colour) != (16, 0):
        raise _refusal(
            name,
            f"it has {bits} bits of {_COLOURS.get(colour, 'unknown colours')}, not 16 bits of "
            "grey: a picture of a depth map, or one that was converted; take the original",
        )
    found = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if found is None or found.dtype != np.uint16 or found.ndim != 2:
        raise _refusal(name, "its pixels cannot be decoded")
    return np.asarray(found, np.uint16)


def _from_npy(content: bytes, name: str) -> NDArray[np.float32]:
    try:
        found = np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise _refusal(name, f"it is truncated or no array: {error}") from None
    if not isinstance(found, np.ndarray) or found.dtype.kind != "f":
        kind = getattr(found, "dtype", "several arrays")
        raise _refusal(name, f"it holds {kind}, where metres as floating-point numbers belong")
    if found.ndim != 2:
        raise _refusal(name, f"it has the shape {found.shape}, not (height, width)")
    wrong = int(np.count_nonzero(~np.isfinite(found)))
    if wrong:
        raise _refusal(
            name, f"{wrong} of its numbers are NaN or infinite; 0 is for what was not measured"
        )
    negative = int(np.count_nonzero(found < 0))
    if negative:
        raise _refusal(
            name, f"{negative} of its numbers are negative; 0 is for what was not measured"
        )
    return np.ascontiguousarray(found, np.float32)


def _check_range(found: Stored, name: str, max_depth: float) -> None:
    values = found.values
    measured = cv2.countNonZero(values)
    if not measured:
        raise UnusableError(
            "nothing measured", f"nothing was measured in the depth map `{name}`: all is 0"
        )
    nearest, farthest = _NEAREST * max_depth, _FARTHEST * max_depth
    low, high = nearest * found.unit, farthest * found.unit
    whole = values.dtype == np.uint16
    if whole:
        low = max(1, math.ceil(low))
    if 2 * cv2.countNonZero(cv2.inRange(values, low, high)) >= measured:
        return
    median = float(np.median(values[values > 0])) / found.unit
    unit = f"{found.unit:g} numbers a metre" if whole else "metres"
    raise DataError(
        f"of the depths in `{name}` fewer than half lie between {nearest:g} and {farthest:g} m (a "
        f"thousandth and ten times measure.max_depth) if it holds {unit}, their median is "
        f"{median:.4g} m: {'set data.unit' if whole else 'store metres'}, or the range that is "
        "measured"
    )
