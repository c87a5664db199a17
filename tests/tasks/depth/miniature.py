"""Small data sets of images with their depth in the official layouts, and recipes for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.contract import Split
from tasks.depth.data import DepthDataset
from tasks.depth.recipe import DepthRecipe

Size = tuple[int, int]
Style = Literal["bts", "mim"]

NYU, KITTI, SMALL = (480, 640), (375, 1242), (48, 64)


def scene(number: int, size: Size, far: float) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """An image (h,w,3) and its depth (h,w) in metres up to `far`: a slope that differs from scene
    to scene and a box before it, grey by depth and coloured by scene; the corner is unmeasured."""
    rng = np.random.default_rng(number)
    height, width = size
    slope = np.linspace(*rng.uniform(0.3, 0.95, 2), width) + np.linspace(0, 0.05, height)[:, None]
    top, left = (int(rng.integers(0, extent // 2)) for extent in size)
    slope[top : top + height // 3, left : left + width // 3] = rng.uniform(0.1, 0.25)
    shade = np.rint(200 * slope)[..., None] + rng.integers(0, 55, 3)
    depth = (slope * far).astype(np.float32)
    depth[: max(1, height // 8), : max(1, width // 8)] = 0
    return shade.clip(0, 255).astype(np.uint8), depth


def write_image(path: Path, image: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    quality = [cv2.IMWRITE_JPEG_QUALITY, 95] if path.suffix == ".jpg" else PNG
    assert cv2.imwrite(str(path), image[..., ::-1], quality)


def write_depth(path: Path, depth: NDArray[Any], unit: float | None = None) -> None:
    """A PNG of whole numbers, `unit` of them a metre, or an NPY."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, depth)
        return
    assert unit is not None
    assert cv2.imwrite(str(path), np.rint(depth * unit).astype(np.uint16), PNG)


PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1]


def write_nyuv2(
    root: Path, train: int = 4, test: int = 2, size: Size = NYU, style: Style = "bts"
) -> Path:
    """NYUv2: two images a room, the lists and folders of BTS or of MIM-Depth-Estimation."""
    home = root / "nyu_depth_v2"
    folder = home / "sync" if style == "bts" else home
    places = {"train": folder, "test": home / "official_splits/test"}
    for part, count in (("train", train), ("test", test)):
        lines = []
        for k in range(count):
            room = f"kitchen_{k // 2:04d}{'ab'[k % 2]}" if part == "train" else "bathroom"
            rgb, sync = f"{room}/rgb_{k:05d}.jpg", f"{room}/sync_depth_{k:05d}.png"
            image, depth = scene(k + 100 * (part == "test"), size, 8.0)
            write_image(places[part] / rgb, image)
            write_depth(places[part] / sync, depth, 1000)
            slash = "/" if part == "train" or style == "mim" else ""
            focal = " 518.8579" if style == "bts" else ""
            lines.append(f"{slash}{rgb} {slash}{sync}{focal}")
        name = f"nyudepthv2_{part}_files_with_gt" if style == "bts" else f"nyudepthv2/{part}_list"
        _write_list(root / f"{name}.txt", lines)
    return root


def write_kitti(
    root: Path, train: int = 4, test: int = 2, size: Size = KITTI, style: Style = "bts"
) -> Path:
    """KITTI: two images a drive; one test line of BTS's has no depth map, and half of the maps of
    MIM-Depth-Estimation's layout lie in `val`."""
    for part, count in (("train", train), ("test", test)):
        lines = []
        for k in range(count):
            drive = f"2011_09_26_drive_{k // 2 + 50 * (part == 'test'):04d}_sync"
            rgb = f"2011_09_26/{drive}/image_02/data/{k:010d}.png"
            truth = f"{drive}/proj_depth/groundtruth/image_02/{k:010d}.png"
            image, depth = scene(k + 100 * (part == "test"), size, 75.0)
            sparse = np.zeros_like(depth)
            sparse[::2, ::3] = depth[::2, ::3]
            half = f"{('train', 'val')[k % 2]}/" if style == "mim" else ""
            raw = "raw_data/" if style == "mim" else ""
            write_image(root / raw / rgb, image)
            write_depth(root / f"data_depth_annotated/{half}{truth}", sparse, 256)
            if style == "bts":
                lines.append(f"{rgb} {truth} 721.5377")
            else:
                lines.append(f"/raw_data/{rgb} /data_depth_annotated/{half}{truth}")
        if style == "bts" and part == "test":
            lines.append(f"{rgb.replace('.png', '9.png')} None 721.5377")
            write_image(root / raw / rgb.replace(".png", "9.png"), image)
        name = f"eigen_{part}_files_with_gt" if style == "bts" else f"eigen_benchmark/{part}_list"
        _write_list(root / f"{name}.txt", lines)
    return root


def write_folder(
    root: Path,
    train: int = 6,
    test: int = 3,
    size: Size = SMALL,
    kind: Literal["png", "npy"] = "png",
    listed: bool = False,
    val: int = 0,
) -> Path:
    """Folders of pairs, two images a sequence: PNG in millimetres, or NPY in metres."""
    for part, count in (("train", train), ("val", val), ("test", test)):
        lines = []
        for k in range(count):
            stem = f"{part}/sequence_{k // 2}"
            rgb, truth = f"{stem}/rgb/{k:03d}.jpg", f"{stem}/depth/{k:03d}.{kind}"
            image, depth = scene(k + 100 * (part == "test") + 200 * (part == "val"), size, 8.0)
            write_image(root / rgb, image)
            write_depth(root / truth, depth, 1000)
            lines.append(f"{rgb} {truth} 500.0")
        if listed and count:
            _write_list(root / f"{part}_files.txt", lines)
    return root


def _write_list(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def recipe(data: dict[str, Any], size: Size = (32, 32), **sections: Any) -> DepthRecipe:
    """Smoke settings without augmentation."""
    still = {"flip": 0.0, "crop": "none"}
    given = {
        "scale": "smoke",
        "backbone": {"input_size": size},
        "data": data,
        "optimizer": {"lr": 1e-3},
        "schedule": {},
        "train": {"batch_size": 2, "steps": 2},
        "augmentation": still | sections.pop("augmentation", {}),
    }
    return DepthRecipe.model_validate(given | sections)


def folder(root: Path, split: Split = "training", **data: Any) -> DepthDataset:
    """A split of a folder of PNG in millimetres."""
    given = {"name": "folder", "root": root, "unit": 1000}
    return DepthDataset(recipe(given | data, SMALL), split)
