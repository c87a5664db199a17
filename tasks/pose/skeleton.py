"""Which joints there are: names, mirror pairs, halves of the body, OKS constants."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tasks.contract import DataError

COCO = {
    "nose": 0.026,
    "eye": 0.025,
    "ear": 0.035,
    "shoulder": 0.079,
    "elbow": 0.072,
    "wrist": 0.062,
    "hip": 0.107,
    "knee": 0.087,
    "ankle": 0.089,
}
"""OKS constants of COCO (cocoeval.py), by joint without its side."""

CROWDPOSE = {
    name: COCO[name] for name in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
} | {
    "head": 0.079,
    "neck": 0.079,
}
"""Those of CrowdPose (crowdposetools/cocoeval.py)."""

_OTHER_NAMES = {"top_head": "head"}
"""What mmpose's metainfo calls a joint that the annotation files name otherwise."""

_SIDES = re.compile(r"(left|right)[_ ]?|[_ ]?(left|right)$")
_LOWER = ("hip", "knee", "ankle", "foot", "toe", "heel")


@dataclass(frozen=True)
class Skeleton:
    """K joints.

    Attributes:
        names: as the annotation file has them.
        flip: index of the joint that each becomes in the mirror.
        sigmas: OKS constants.
        lower: whether a joint is of the lower half of the body, by its name.
    """

    names: tuple[str, ...]
    flip: tuple[int, ...]
    sigmas: tuple[float, ...]
    lower: tuple[bool, ...]

    def __len__(self) -> int:
        return len(self.names)


def skeleton(
    names: Sequence[str],
    sigmas: Sequence[float] | None = None,
    flip_pairs: Sequence[tuple[str, str]] | None = None,
) -> Skeleton:
    """Build a skeleton from the joint names of a category.

    Mirror pairs come from names that differ in left and right only, unless they are given; OKS
    constants from the names of COCO's 17 and CrowdPose's 14 joints, unless they are given.

    Raises:
        DataError: constants that are unknown or of the wrong number, pairs that names do not tell,
            that are of unknown joints, or that give a joint two mirror images.
    """
    if len(set(names)) != len(names):
        raise DataError(f"joint names must differ: {', '.join(names)}")
    if sigmas is None:
        sigmas = _known_sigmas(names)
    elif len(sigmas) != len(names):
        raise DataError(f"data.sigmas has {len(sigmas)} numbers, the data {len(names)} joints")
    pairs = _pairs_by_name(names) if flip_pairs is None else flip_pairs
    flip = list(range(len(names)))
    for a, b in pairs:
        if a not in names or b not in names:
            raise DataError(f"data.flip_pairs names {a}, {b}; there is {', '.join(names)}")
        i, j = names.index(a), names.index(b)
        if flip[i] != i or flip[j] != j:
            raise DataError(f"data.flip_pairs gives {a} or {b} two mirror images")
        flip[i], flip[j] = j, i
    lower = tuple(any(part in name.lower() for part in _LOWER) for name in names)
    return Skeleton(tuple(names), tuple(flip), tuple(float(s) for s in sigmas), lower)


def base(name: str) -> str:
    """The joint without its side: `left_knee` is a `knee`."""
    return _SIDES.sub("", name.lower())


def _pairs_by_name(names: Sequence[str]) -> list[tuple[str, str]]:
    lefts = [name for name in names if "left" in name.lower()]
    mirrored = {name: _mirror(name) for name in lefts}
    missing = [name for name, other in mirrored.items() if other not in names]
    rights = [name for name in names if "right" in name.lower()]
    missing += [name for name in rights if name not in mirrored.values()]
    if missing:
        raise DataError(
            f"joints without a mirror image: {', '.join(missing)}; name the pairs with "
            "--set 'data.flip_pairs=[[left_a, right_a], ...]'"
        )
    if not mirrored:
        raise DataError(
            f"no mirror pairs can be told from the joint names {', '.join(names)}; name them with "
            "--set 'data.flip_pairs=[[left_a, right_a], ...]', or [] where there are none"
        )
    return list(mirrored.items())


def _mirror(name: str) -> str:
    return re.sub(
        "left", lambda m: {"left": "right", "Left": "Right"}.get(m[0], "RIGHT"), name, flags=re.I
    )


def _known_sigmas(names: Sequence[str]) -> list[float]:
    bases = [_OTHER_NAMES.get(base(name), base(name)) for name in names]
    for table, count in ((COCO, 17), (CROWDPOSE, 14)):
        if len(names) == count and set(bases) == set(table):
            return [table[name] for name in bases]
    similar = COCO | CROWDPOSE | {"head_top": 0.079}
    if all(name in similar for name in bases):
        example = ",".join(f"{similar[name]:g}" for name in bases)
        hint = f"COCO's and CrowdPose's for joints of these names: --set 'data.sigmas=[{example}]'"
    else:
        hint = f"give one number a joint: --set 'data.sigmas=[{','.join(names)}]'"
    raise DataError(f"no OKS constants are known for these {len(names)} joints; {hint}")
