"""Images from a folder, in the layout of ImageNet: `train/` and `val/`, at any depth below."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from tasks.contract import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tasks.contract import Split

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})
LAYOUT = "ROOT/train/**/*.jpg (or png, bmp, webp) and ROOT/val/**/*.jpg, class folders or none"


@dataclass(frozen=True)
class Folder:
    """The images of one split, in the order of their paths.

    Attributes:
        root: the folder of the data set.
        files: paths below it.
        sha256: hash of the paths and sizes.
    """

    root: Path
    files: tuple[Path, ...]
    sha256: str

    def __len__(self) -> int:
        return len(self.files)

    def read(self, index: int) -> NDArray[np.uint8]:
        """The image at `index` as RGB (H,W,3).

        Raises:
            DataError: naming the file that cannot be decoded.
        """
        path = self.root / self.files[index]
        try:
            with Image.open(path) as image:
                return _rgb(image)
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise DataError(f"cannot read the image `{path}`: {error}; mend or remove it") from None


def scan(root: Path | None, split: Split, limit: int | None) -> Folder:
    """Find the images of a split: `train` is for training; of `val`, every other image is for
    selection, the rest for the test.

    Raises:
        DataError: no folder was given, it lacks the layout, or an image is a broken link.
    """
    if root is None:
        raise DataError(f"the data set `images` needs --data-root ROOT with {LAYOUT}")
    name = "train" if split == "training" else "val"
    if not (root / name).is_dir():
        raise DataError(f"`{root}` has no folder `{name}`; expected {LAYOUT}")
    found = (p for p in (root / name).rglob("*") if p.suffix.lower() in SUFFIXES)
    files = sorted(path.relative_to(root) for path in found)
    if split != "training":
        files = files[0 if split == "selection" else 1 :: 2]
    if not files:
        raise DataError(f"`{root / name}` has no image for the {split} split; expected {LAYOUT}")
    files = files[:limit]
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.as_posix()}\t{_bytes_of(root / path)}\n".encode())
    return Folder(root, tuple(files), digest.hexdigest())


def _bytes_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        what = "is a broken link" if path.is_symlink() else "cannot be read"
        raise DataError(f"the image `{path}` {what}: {error.strerror}; mend or remove it") from None


def _rgb(image: Image.Image) -> NDArray[np.uint8]:
    # Older Pillow opens a grey PNG of 16 bits as `I`.
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
        # Pillow's own conversion clips at 255, which leaves almost all of the image white.
        levels = np.rint(np.asarray(image) / 257).astype(np.uint8)
        return np.repeat(levels[:, :, None], 3, axis=2)
    return np.asarray(image.convert("RGB"))
