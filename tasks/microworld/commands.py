"""What the commands `harness data prepare|check|preview microworld` do."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tasks.contract import DataError
from tasks.microworld import storage
from tasks.microworld.ranges import Kind, Split
from tasks.microworld.several import prepare_several
from tasks.microworld.world import WORLD_VERSION, Microworld

Root = str | os.PathLike[str] | None
Scale = Literal["smoke", "tiny", "paper"]


@dataclass(frozen=True, slots=True)
class Counts:
    """How many samples the recipe of a task reads of each split; `size` is (height, width)."""

    kind: Kind
    size: tuple[int, int]
    splits: dict[Split, int]


COUNTS: dict[str, dict[str, Counts]] = {
    "smoke": {
        "pose": Counts("scene", (128, 128), {"training": 16, "selection": 4, "test": 8}),
        "tracking": Counts("video", (128, 128), {"training": 8, "selection": 2, "test": 4}),
        "classification": Counts("fine", (64, 64), {"training": 36, "selection": 12, "test": 24}),
        "pretraining": Counts("mixed", (64, 64), {"pretraining": 64, "selection": 16, "test": 16}),
        "supervised_pretraining": Counts(
            "covered", (64, 64), {"pretraining": 64, "selection": 16, "test": 16}
        ),
    },
    "tiny": {
        "pose": Counts("scene", (128, 128), {"training": 1024, "selection": 192, "test": 256}),
        "detection": Counts("scene", (192, 192), {"training": 1024, "selection": 192, "test": 256}),
        "tracking": Counts("video", (128, 128), {"training": 192, "selection": 24, "test": 96}),
        "classification": Counts(
            "fine", (128, 128), {"training": 1440, "selection": 360, "test": 1080}
        ),
        "pretraining": Counts(
            "mixed", (128, 128), {"pretraining": 12288, "selection": 512, "test": 512}
        ),
        "supervised_pretraining": Counts(
            "covered", (128, 128), {"pretraining": 12288, "selection": 512, "test": 512}
        ),
    },
}
"""By scale and task, as in the recipes; depth, and at `smoke` detection, reads what `pose` does,
contrastive pre-training what `pretraining` does; at `paper`, runs read the published data sets."""


def prepare_all(
    scale: Scale = "tiny",
    progress: Callable[[int, int], None] | None = None,
    root: Root = None,
) -> None:
    """Render what the tasks read at a scale; `progress` gets samples done and in all.

    Raises DataError for a scale at which no task reads the world.
    """
    if scale not in COUNTS:
        raise DataError(
            f"no task reads microworld at scale {scale!r}; prepare it for {' or '.join(COUNTS)}"
        )
    worlds = [
        Microworld(split, count, counts.kind, counts.size, root=root)
        for counts in COUNTS[scale].values()
        for split, count in counts.splits.items()
    ]
    prepare_several(worlds, progress)


def check(root: Root = None) -> str:
    """Hash every file of every data set in the cache and return a line for each.

    Raises DataError naming the first file that is missing or damaged, and where there is no data
    set at all.
    """
    folder = (Path(root) if root is not None else storage.default_root()) / "microworld"
    manifests = sorted(folder.glob(f"v{WORLD_VERSION}/*/{storage.MANIFEST}"))
    manifests = [path for path in manifests if not path.parent.name.endswith(".partial")]
    if not manifests:
        raise DataError(f"no data set in {folder}; run `harness data prepare microworld`")
    lines = []
    for path in manifests:
        manifest = storage.verify(path.parent, always=True)
        size = sum((path.parent / name).stat().st_size for name in manifest["files"])
        lines.append(
            f"{path.parent.name}: {manifest['count']} samples, {size / 1e6:.1f} MB, "
            f"sha256 {manifest['sha256'][:12]}, whole"
        )
    return "\n".join(lines)


def preview(
    path: str | os.PathLike[str], seed: int = 0, size: tuple[int, int] = (128, 128)
) -> None:
    """Write a PNG sheet of samples with every annotation drawn; `size` is (height, width).

    Raises DataError where the file cannot be written.
    """
    from tasks.microworld.sheet import write_sheet

    target = Path(path)
    if target.suffix.lower() != ".png":
        raise DataError(f"the sheet is a PNG picture: name it {target.with_suffix('.png')}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_sheet(target, seed, size)
    except OSError as error:
        raise DataError(f"cannot write {target}: {error}") from error
