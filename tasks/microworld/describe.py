"""From (seed, index, kind) to a scene."""

from functools import lru_cache

from tasks.microworld import ranges
from tasks.microworld.objects import COVERED, FINE, OBJECT_CLASSES
from tasks.microworld.ranges import OBJECT_KINDS, Kind
from tasks.microworld.scene import Scene
from tasks.microworld.sequences import video_frame
from tasks.microworld.settings import CLOSE, WIDE, general_scene, object_view

VIDEO_FRAMES = 24


def labels_of(kind: Kind) -> tuple[str, ...]:
    """Return the class names of a kind of object view; empty for the other kinds."""
    if kind == "covered":
        return COVERED
    if kind == "fine":
        return FINE
    return tuple(name for name, c in OBJECT_CLASSES.items() if c.group == kind)


def describe(seed: int, index: int, kind: Kind, frame: int = 0) -> Scene:
    """Describe one scene of the world; equal arguments give equal scenes.

    `mixed` alternates general scenes and views of covered objects, for pre-training. `frame` in
    [0, VIDEO_FRAMES) counts only for `video`. Raises ValueError for an index outside of the ranges
    and for a novel class in the pre-training range.
    """
    split = ranges.split_of(index)
    if split == "pretraining" and kind.startswith("novel"):
        raise ValueError("the pre-training range holds no novel class")
    if kind == "mixed":
        return describe(seed, index, "scene" if index % 2 == 0 else "covered")
    rng = ranges.generator(seed, index, kind)
    if kind == "scene":
        return general_scene(rng)
    if kind == "video":
        return video_frame(rng, frame / VIDEO_FRAMES)
    label = _balanced_label(seed, index, kind)
    category, _, mark = labels_of(kind)[label].partition("/")
    return object_view(rng, category, mark, label, CLOSE if kind == "fine" else WIDE)


def _balanced_label(seed: int, index: int, kind: Kind) -> int:
    """Return a class such that each run of as many indices as classes holds each class once."""
    count = len(labels_of(kind))
    return int(_shuffled(seed, index // count, kind, count)[index % count])


@lru_cache(maxsize=256)
def _shuffled(seed: int, block: int, kind: Kind, count: int) -> tuple[int, ...]:
    if kind not in OBJECT_KINDS:
        raise ValueError(f"unknown kind {kind!r}; kinds: {', '.join(ranges.KINDS)}")
    order = ranges.generator(seed, block, kind, stream=1).permutation(count)
    return tuple(int(x) for x in order)
