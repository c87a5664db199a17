"""Images from a folder, in the layout of ImageNet: `train/` and `val/`, at any depth below."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tasks import images
from tasks.contract import DataError
from tasks.names import printable

if TYPE_CHECKING:
    import numpy as np
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
        # As it is stored: the published recipes' loaders do not look at orientation tags.
        return images.read(self.root / self.files[index], upright=False)


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
        digest.update(f"{printable(path.as_posix())}\t{_bytes_of(root / path)}\n".encode())
    return Folder(root, tuple(files), digest.hexdigest())


def _bytes_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise images.unreadable(path, error) from None
