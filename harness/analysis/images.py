"""The images that encoders are looked at with."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from harness.errors import UserError
from tasks import images as files
from tasks.crops import central_crop, cut
from tasks.names import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import Tensor

    from tasks.microworld import Microworld

MICROWORLD = "microworld"
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})
DEFAULT = 256
"""Images, where nobody says how many."""


class Images(ABC):
    """A fixed row of images, read when they are asked for.

    Attributes:
        name: what they are, such as `microworld`.
        sha256: hash of what they are and of how they are brought to their size.
        size: (H,W) in pixels.
    """

    name: str
    sha256: str
    size: tuple[int, int]

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def read(self, index: int) -> NDArray[np.uint8]:
        """Return the image (H,W,3), RGB.

        Raises:
            DataError: naming the file that cannot be read.
        """

    def batch(self, start: int, stop: int) -> Tensor:
        """Return the images `start` to `stop` (exclusive), (B,3,H,W) float32 RGB in [0,1].

        Raises:
            DataError: as `read`.
        """
        import torch

        pixels = np.stack([self.read(index) for index in range(start, stop)])
        return torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255


class WorldImages(Images):
    """Scenes and object views by turns, of the embedded world's test range."""

    def __init__(self, world: Microworld) -> None:
        self.world = world
        self.name, self.size = MICROWORLD, world.size
        self.sha256 = world.manifest["sha256"]

    def __len__(self) -> int:
        return len(self.world)

    def read(self, index: int) -> NDArray[np.uint8]:
        return self.world.image(index)


class FolderImages(Images):
    """Images of a folder, at any depth, in the order of their paths: of each the largest central
    part of the right shape, brought to the size by Pillow's antialiased bicubic interpolation."""

    def __init__(self, root: Path, paths: list[Path], size: tuple[int, int]) -> None:
        self.root, self.paths = root, paths
        self.name, self.size = printable(root.name or str(root)), size
        digest = hashlib.sha256(f"central bicubic {size}\n".encode())
        for path in paths:
            content = hashlib.sha256(files.stored(root / path)).hexdigest()
            digest.update(f"{content}\n".encode())
        self.sha256 = digest.hexdigest()

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, index: int) -> NDArray[np.uint8]:
        image = files.read(self.root / self.paths[index])
        height, width = self.size
        crop = central_crop((image.shape[0], image.shape[1]), width / height)
        return cut(image, crop, self.size, "bicubic")


def open_images(
    source: str,
    count: int | None,
    size: tuple[int, int],
    progress: Callable[[int, int], None] | None = None,
) -> Images:
    """Open `count` images at `size` (height, width).

    Args:
        source: `microworld`, or a folder.
        count: how many; 256 by default, of a folder that has fewer all. Of a folder that has more
            they are taken at equal distances along its sorted paths, so that none of its folders
            is left out.
        progress: told of images that are rendered: done, and in all.

    Raises:
        UserError: no such folder, fewer images than asked for, or fewer than two.
        DataError: a file that cannot be read.
    """
    if count is not None and count < 2:
        raise UserError(f"--n {count}: standard errors need two images or more")
    if source == MICROWORLD:
        from tasks.microworld import Microworld

        world = Microworld("test", count or DEFAULT, "mixed", size)
        world.prepare(progress)
        return WorldImages(world)
    root = Path(source)
    if not root.is_dir():
        raise UserError(f"--images {source}: give `{MICROWORLD}` or a folder of images")
    return FolderImages(root, _chosen(root, count), size)


def _chosen(root: Path, count: int | None) -> list[Path]:
    found = sorted(
        path.relative_to(root) for path in root.rglob("*") if path.suffix.lower() in SUFFIXES
    )
    if len(found) < 2:
        kinds = ", ".join(sorted(suffix[1:] for suffix in SUFFIXES))
        raise UserError(
            f"`{root}` has {len(found)} images ({kinds}): standard errors need two or more"
        )
    if count is not None and count > len(found):
        raise UserError(f"--n {count}, but `{root}` has {len(found)} images: ask for fewer")
    wanted = min(count or DEFAULT, len(found))
    return [found[i * len(found) // wanted] for i in range(wanted)]
