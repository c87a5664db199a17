"""Image files of any kind as RGB: damaged ones are refused, never filled up.

The pixels are those of Pillow's `convert("RGB")`, as the field's loaders have them: alpha is
dropped, a palette resolved, CMYK and YCCK converted without a profile, 16 bits of colour cut to
eight. What differs: 16 bits of grey are scaled, where Pillow clips them at 255; 32 bits a pixel
are refused, since nobody states their range; the image is turned as its orientation tag says.
Of an animation it is the first frame.

Truncation is found in every format, and so is damage in the middle of a PNG, which has checksums.
A JPEG that is damaged in the middle decodes to other pixels, and no decoder here tells.
"""

from __future__ import annotations

import io
import stat
import struct
import warnings
import zlib
from functools import cache
from typing import TYPE_CHECKING, BinaryIO

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from tasks.contract import DataError
from tasks.names import printable

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_ENDINGS = "avif bmp gif jfif jp2 jpe jpeg jpg pgm png ppm tif tiff webp"
SUFFIXES = frozenset(f".{ending}" for ending in _ENDINGS.split())
"""Endings, in small letters, of the files that are taken for images."""

# No others: Pillow's list has formats that start other programs.
_FORMATS = ("JPEG", "MPO", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF")

# Pillow has no list of what its decoders raise; these came out of damaged files.
_DAMAGE = (
    ArithmeticError,
    EOFError,
    Image.DecompressionBombError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
_ORIENTATION = 0x0112
_SIDEWAYS = 5
_JPEG_END = b"\xff\xd9"
_PNG_HEAD = b"\x89PNG\r\n\x1a\n"
_EIGHT_BITS_RGB = b"\x08\x02"

# The parts of a PNG that leave its pixels as they are.
_INERT = frozenset((b"IHDR", b"IDAT", b"IEND", b"sRGB", b"gAMA", b"cHRM", b"pHYs", b"tIME"))


def read(path: Path, *, upright: bool = True) -> NDArray[np.uint8]:
    """Decode a file to RGB (H,W,3); see `decode`.

    Raises:
        DataError: a file that is missing, or as `decode`.
    """
    return decode(stored(path), printable(str(path)), upright=upright)


def of_size(path: Path, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Decode an image to RGB (H, W, 3).

    Args:
        path: the file.
        size: width and height after its annotation; where the file's orientation tag decides
            between the two ways to hold it, the annotation does.

    Raises:
        DataError: a file that is missing, ends too early, is no image, or is of another size.
    """
    name = printable(str(path))
    content = stored(path)
    found = (0, 0)
    for upright in (False, True):
        image = decode(content, name, upright=upright)
        found = (image.shape[1], image.shape[0])
        if found == size:
            return image
    raise DataError(
        f"the image {name} is {found[0]}x{found[1]}, its annotation says {size[0]}x{size[1]}"
    )


def extent(file: BinaryIO, name: str) -> tuple[int, int]:
    """Width and height of an image when it is upright, from the head of its file alone.

    Raises:
        DataError: naming the image that is damaged at its head, or is none.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(file, formats=_formats()) as image:
                width, height = image.size
                tagged = image.format == "TIFF" or image.info.get("exif")
                turned = tagged and _orientation(image) >= _SIDEWAYS
    except UnidentifiedImageError:
        raise _refusal(name, "it is no image, or damaged at its head") from None
    except _DAMAGE as error:
        raise _refusal(name, f"it is truncated or damaged: {error}") from None
    return (height, width) if turned else (width, height)


def stored(path: Path) -> bytes:
    """Return the bytes of a file.

    Raises:
        DataError: naming the file that is missing or cannot be read, or the link that is broken.
    """
    try:
        # A link may lead to a pipe, which never answers, or to a device without an end.
        kind = path.stat().st_mode
        if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
            raise _refusal(printable(str(path)), "it is a pipe or a device")
        return path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from None


def unreadable(path: Path, error: OSError) -> DataError:
    """The message for a file that the system does not give."""
    name = printable(str(path))
    if path.is_symlink() and not path.exists():
        return DataError(
            f"the image `{name}` is a broken link: {error.strerror}; mend or remove it"
        )
    return _refusal(name, str(error.strerror))


def decode(content: bytes, name: str, *, upright: bool = True) -> NDArray[np.uint8]:
    """Decode an image to RGB (H,W,3).

    Args:
        content: of the file.
        name: what a message calls it.
        upright: turn it as its orientation tag says; a tag that cannot be read says nothing.
            TIFF and AVIF come upright in any case.

    Raises:
        DataError: naming the image that ends too early, is damaged, or is none.
    """
    if not content:
        raise _refusal(name, "it is empty")
    try:
        # Pillow warns of large images, bad tags, transparent palettes: nothing about the pixels.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content), formats=_formats()) as image:
                pixels, orientation = _pixels(image, content)
                return _turned(pixels, orientation) if upright else pixels
    except UnidentifiedImageError:
        raise _refusal(name, "it is no image, or damaged at its head") from None
    except _DAMAGE as error:
        raise _refusal(name, f"it is truncated or damaged: {error}") from None


def check_png(content: bytes, name: str) -> None:
    """Find truncation and damage in a PNG, which most decoders pass over.

    Raises:
        DataError: naming the image whose end is missing or whose checksums are wrong.
    """
    try:
        _kinds(content)
    except _DAMAGE as error:
        raise _refusal(name, f"it is truncated or damaged: {error}") from None


def _refusal(name: str, why: str) -> DataError:
    return DataError(f"cannot read the image `{name}`: {' '.join(why.split())}; mend or remove it")


@cache
def _formats() -> tuple[str, ...]:
    """Those that the installed Pillow knows: 10.4 has no AVIF."""
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def _pixels(image: Image.Image, content: bytes) -> tuple[NDArray[np.uint8], int]:
    """As they are stored, and their orientation; by OpenCV where that is as exact and faster."""
    plain, tagged = False, True
    if image.format == "JPEG":
        # OpenCV 4 fills up what is missing, so a file must end where its image does.
        plain = image.mode in ("RGB", "L") and content.endswith(_JPEG_END)
    elif image.format == "PNG":
        plain = _kinds(content) <= _INERT and content[24:26] == _EIGHT_BITS_RGB
        tagged = not plain
    found = _by_opencv(content) if plain else None
    if found is None:
        found = _by_pillow(image)
    # Pillow turns some formats itself while it loads them, and would decode a PNG for its tags.
    return found, _orientation(image) if tagged else 1


def _by_opencv(content: bytes) -> NDArray[np.uint8] | None:
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        found = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error:
        return None
    return None if found is None else np.asarray(found, np.uint8)


def _by_pillow(image: Image.Image) -> NDArray[np.uint8]:
    # Older Pillow opens a grey PNG of 16 bits as `I`, every Pillow a PGM.
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):
        levels = np.rint(np.asarray(image) / 257).astype(np.uint8)
        return np.repeat(levels[:, :, None], 3, axis=2)
    if image.mode in ("I", "F"):
        raise ValueError("its pixels have 32 bits, of a range that is not stated; make them 8 bits")
    return np.asarray(image.convert("RGB"))


def _kinds(content: bytes) -> set[bytes]:
    """The kinds of a PNG's parts, after their checksums are found right (Pillow compares none of
    those of the pixels).

    Raises:
        ValueError: a wrong checksum, or no end.
    """
    whole, start = memoryview(content), len(_PNG_HEAD)
    kinds: set[bytes] = set()
    while b"IEND" not in kinds:
        if start + 8 > len(content):
            raise ValueError("its end is missing")
        length, kind = struct.unpack_from(">I4s", content, start)
        end = start + 8 + length
        if end + 4 > len(content):
            raise ValueError("its end is missing")
        if whole[end : end + 4] != struct.pack(">I", zlib.crc32(whole[start + 4 : end])):
            raise ValueError(f"a checksum is wrong at byte {start}")
        kinds.add(kind)
        start = end + 4
    return kinds


def _orientation(image: Image.Image) -> int:
    """1 to 8 after the EXIF standard, 1 where nothing can be read."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except _DAMAGE:
        return 1


def _turned(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Make an image upright (EXIF 2.32, tag 274)."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
