"""Reading a sequence's frames from a zip archive against files, and opening many sequences.

Run: python -m benchmarks.tracking_reading [--frames N] [--repeats N] [--sequences N]. Frames are
microworld's, enlarged to 1280x720 and stored as JPEGs of quality 90, as files, as stored and as
deflated members. Each repeat reads the whole sequence from the files and from an archive, the two
interleaved and in turns first, on one core; the file system's cache is warm. Ratios are those of
pairs: median, and the range of the middle half. `bytes` is reading without decoding.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2

from tasks.microworld import Microworld
from tasks.tracking.recipe import TrackingData
from tasks.tracking.sources.frames import Images
from tasks.tracking.sources.opening import open_source

WIDTH, HEIGHT, QUALITY = 1280, 720, 90
METHODS = {"stored": zipfile.ZIP_STORED, "deflated": zipfile.ZIP_DEFLATED}


def write(folder: Path, count: int) -> None:
    """A sequence of so many frames beside its boxes."""
    world = Microworld("test", -(-count // 24), "video")
    folder.mkdir(parents=True)
    quality = [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
    for number in range(count):
        image = cv2.resize(world.image(number // 24, number % 24), (WIDTH, HEIGHT))
        cv2.imwrite(str(folder / f"{number + 1:08d}.jpg"), image[..., ::-1], quality)
    (folder / "groundtruth.txt").write_text("10,10,50,50\n" * count)


def pack(folder: Path, archive: Path, method: int) -> Path:
    archive.parent.mkdir()
    with zipfile.ZipFile(archive, "w", method) as packed:
        for path in sorted(folder.iterdir()):
            packed.write(path, path.name)
    return archive


def frames(root: Path) -> Images:
    """Those of the one sequence below a folder."""
    data = TrackingData.model_validate({"name": "folder", "root": root})
    found = open_source(data, "test").sequences[0].frames
    assert isinstance(found, Images)
    return found


def seconds(done: Callable[[int], object], count: int) -> float:
    start = time.perf_counter()
    for frame in range(count):
        done(frame)
    return time.perf_counter() - start


def compare(files: Images, packed: Images, repeats: int) -> None:
    """Print what a frame takes from either, and the ratio, with and without decoding."""
    for what in ("content", "read"):
        pairs: list[tuple[float, float]] = []
        for repeat in range(repeats + 1):
            both = {}
            for side in (files, packed) if repeat % 2 else (packed, files):
                both[side] = seconds(getattr(side, what), len(side))
            pairs.append((both[files], both[packed]))
        pairs = pairs[1:]  # The first one warms up.
        ratios = [archive / plain for plain, archive in pairs]
        low, _, high = statistics.quantiles(ratios, n=4)
        plain, archive = (
            1e3 * statistics.median(side) / len(files) for side in zip(*pairs, strict=True)
        )
        name = "bytes" if what == "content" else "frames"
        print(
            f"  {name:<6} files {plain:7.3f} ms, archive {archive:7.3f} ms a frame; archive / "
            f"files {statistics.median(ratios):.3f} ({low:.3f} to {high:.3f})"
        )


def many(root: Path, count: int, length: int) -> None:
    """Print how long opening so many sequences takes; their frames are links to one file."""
    frame = next(root.glob("plain/one/*.jpg"))
    home = root / "many"
    names = [f"{number:06d}" for number in range(count)]
    for number, name in enumerate(names):
        (home / name).mkdir(parents=True)
        if number % 500 == 0:  # File systems limit the links to a file.
            frame = home / name / "00000000.png"
            frame.write_bytes(next(root.glob("plain/one/*.jpg")).read_bytes())
        for k in range(1, length + 1):
            os.link(frame, home / name / f"{k:08d}.jpg")
        (home / name / "groundtruth.txt").write_text("10,10,50,50\n" * length)
    for name in names[::500]:
        (home / name / "00000000.png").unlink()
    (home / "list.txt").write_text("\n".join(names))
    data = TrackingData.model_validate({"name": "folder", "root": home})
    wall, cores = time.perf_counter(), time.process_time()
    opened = open_source(data, "test")
    wall, cores = time.perf_counter() - wall, time.process_time() - cores
    print(
        f"opening {len(opened.sequences)} sequences of {length} frames: {wall:.1f} s, "
        f"{cores:.1f} s of the processor"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=96)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--sequences", type=int, default=10_000, help="0: leave it out")
    parser.add_argument("--length", type=int, default=30, help="frames of each of these")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write(root / "plain" / "one", given.frames)
        files = frames(root / "plain")
        size = sum(len(files.content(k)) for k in range(len(files))) / len(files)
        print(f"{len(files)} frames of {WIDTH}x{HEIGHT}, {size / 1e3:.0f} kB each")
        for name, method in METHODS.items():
            print(f"archive, {name}:")
            archive = pack(root / "plain" / "one", root / name / "one.zip", method)
            compare(files, frames(archive.parent), given.repeats)
        if given.sequences:
            many(root, given.sequences, given.length)


if __name__ == "__main__":
    main()
