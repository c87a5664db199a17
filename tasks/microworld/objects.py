"""Classes of objects as arrangements of parts.

Covered classes differ in the arrangement of their parts. A fine class is a covered class with one
of four small marks. Novel classes lie at three levels of distance from the covered ones: level 1
alters one covered class, level 2 combines known parts in a new arrangement, level 3 repeats parts
in patterns (radial, stacked, coiled) that no covered class has.

An object stands on y = 0 in its own frame, is about 1 long, and looks along -z.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tasks.microworld.scene import Box, Capsule, Part, Shape, Sphere, Surface, Vector, WorldObject
from tasks.microworld.surfaces import part_surface, similar

Group = Literal["covered", "novel-1", "novel-2", "novel-3"]
_AXES = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


@dataclass(frozen=True, slots=True)
class Draft:
    """A part before it has a surface: `slot` 0, 1 or 2 chooses among the object's surfaces."""

    name: str
    shape: Shape
    slot: int = 0


def _box(name: str, centre: Vector, half: Vector, slot: int = 0) -> Draft:
    return Draft(name, Box(centre, half, _AXES), slot)


def _ball(name: str, centre: Vector, radius: float, slot: int = 0) -> Draft:
    return Draft(name, Sphere(centre, radius), slot)


def _rod(name: str, start: Vector, end: Vector, radius: float, slot: int = 0) -> Draft:
    return Draft(name, Capsule(start, end, radius), slot)


def _four_legs(
    x: float, z: float, top: float, radius: float, slot: int, spread: float = 0.0
) -> list[Draft]:
    return [
        _rod(
            f"leg_{i}",
            (sx * x, top, sz * z),
            (sx * (x + spread), radius, sz * (z + spread)),
            radius,
            slot,
        )
        for i, (sx, sz) in enumerate(((-1, -1), (1, -1), (-1, 1), (1, 1)))
    ]


def _wheels(x: float, z: float, radius: float, slot: int) -> list[Draft]:
    return [
        _ball(f"wheel_{i}", (sx * x, radius, sz * z), radius, slot)
        for i, (sx, sz) in enumerate(((-1, -1), (1, -1), (-1, 1), (1, 1)))
    ]


def _table(j: float) -> list[Draft]:
    return [
        _box("top", (0, 0.6, 0), (0.5, 0.05, 0.33 * j), 0),
        *_four_legs(0.42, 0.26 * j, 0.58, 0.045, 1),
    ]


def _chair(j: float) -> list[Draft]:
    return [
        _box("seat", (0, 0.45, 0), (0.27, 0.05, 0.27), 0),
        _box("back", (0, 0.45 + 0.27 * j, 0.24), (0.27, 0.27 * j, 0.045), 0),
        *_four_legs(0.22, 0.22, 0.43, 0.04, 1),
    ]


def _lamp(j: float) -> list[Draft]:
    return [
        _box("base", (0, 0.05, 0), (0.22, 0.05, 0.22), 1),
        _rod("pole", (0, 0.08, 0), (0, 0.7, 0), 0.04, 1),
        _ball("shade", (0, 0.75, 0), 0.21 * j, 0),
    ]


def _bottle(j: float) -> list[Draft]:
    return [
        _rod("body", (0, 0.2, 0), (0, 0.45, 0), 0.2 * j, 0),
        _rod("neck", (0, 0.5, 0), (0, 0.85, 0), 0.07, 0),
        _ball("stopper", (0, 0.92, 0), 0.085, 1),
    ]


def _plant(j: float) -> list[Draft]:
    return [
        _box("pot", (0, 0.15, 0), (0.17, 0.15, 0.17), 1),
        _rod("stem", (0, 0.3, 0), (0, 0.6, 0), 0.04, 2),
        _ball("leaves_0", (-0.16 * j, 0.68, 0.02), 0.19, 0),
        _ball("leaves_1", (0.16 * j, 0.7, -0.03), 0.19, 0),
        _ball("leaves_2", (0, 0.88, 0), 0.18, 0),
    ]


def _car(j: float) -> list[Draft]:
    return [
        _box("chassis", (0, 0.24, 0), (0.5, 0.12, 0.25), 0),
        _box("cabin", (0.06, 0.46, 0), (0.26 * j, 0.11, 0.22), 1),
        *_wheels(0.32, 0.25, 0.12, 2),
    ]


def _snowman(j: float) -> list[Draft]:
    return [
        _ball("base", (0, 0.25, 0), 0.26, 0),
        _ball("middle", (0, 0.58, 0), 0.19 * j, 0),
        _ball("head", (0, 0.85, 0), 0.14, 1),
    ]


def _dumbbell(j: float) -> list[Draft]:
    return [
        _rod("bar", (-0.36, 0.19, 0), (0.36, 0.19, 0), 0.055, 1),
        _ball("weight_0", (-0.38, 0.19, 0), 0.19 * j, 0),
        _ball("weight_1", (0.38, 0.19, 0), 0.19 * j, 0),
    ]


def _shelf(j: float) -> list[Draft]:
    boards = [
        _box(f"board_{i}", (0, 0.12 + 0.35 * j * i, 0), (0.36, 0.03, 0.18), 0) for i in range(3)
    ]
    sides = [
        _box(f"side_{i}", (s * 0.36, 0.45, 0), (0.03, 0.45, 0.18), 1) for i, s in enumerate((-1, 1))
    ]
    return boards + sides


def _dog(j: float) -> list[Draft]:
    return [
        _rod("body", (-0.27, 0.42, 0), (0.27, 0.42, 0), 0.14, 0),
        _ball("head", (-0.46, 0.58 * j, 0), 0.14, 0),
        _rod("snout", (-0.5, 0.55 * j, 0), (-0.64, 0.52 * j, 0), 0.06, 1),
        _rod("tail", (0.38, 0.48, 0), (0.52, 0.68, 0), 0.035, 1),
        *_four_legs(0.26, 0.08, 0.4, 0.05, 0, 0.02),
    ]


def _stool(j: float) -> list[Draft]:
    return [_ball("seat", (0, 0.52, 0), 0.2 * j, 0), *_four_legs(0.14, 0.14, 0.45, 0.04, 1, 0.1)]


def _truck(j: float) -> list[Draft]:
    return [
        _box("chassis", (0, 0.2, 0), (0.52, 0.07, 0.24), 2),
        _box("cabin", (-0.38, 0.42, 0), (0.13, 0.16, 0.22), 1),
        _box("cargo", (0.14, 0.5, 0), (0.36, 0.24 * j, 0.24), 0),
        *_wheels(0.34, 0.24, 0.12, 2),
    ]


def _twin_lamp(j: float) -> list[Draft]:
    return [
        _box("base", (0, 0.05, 0), (0.22, 0.05, 0.22), 1),
        _rod("pole", (0, 0.08, 0), (0, 0.68, 0), 0.04, 1),
        _rod("arm", (-0.28, 0.68, 0), (0.28, 0.68, 0), 0.035, 1),
        _ball("shade_0", (-0.3, 0.68, 0), 0.15 * j, 0),
        _ball("shade_1", (0.3, 0.68, 0), 0.15 * j, 0),
    ]


def _camel(j: float) -> list[Draft]:
    return [
        _rod("body", (-0.24, 0.48, 0), (0.24, 0.48, 0), 0.13, 0),
        _ball("hump", (0.02, 0.62, 0), 0.14, 0),
        _rod("neck", (-0.34, 0.5, 0), (-0.46, 0.82 * j, 0), 0.06, 0),
        _ball("head", (-0.5, 0.86 * j, 0), 0.1, 0),
        *_four_legs(0.24, 0.08, 0.45, 0.05, 1, 0.02),
    ]


def _bench(j: float) -> list[Draft]:
    return [
        _box("seat", (0, 0.36, 0), (0.5, 0.045, 0.2), 0),
        _box("back", (0, 0.6, 0.17), (0.5, 0.17 * j, 0.035), 0),
        *_four_legs(0.42, 0.14, 0.34, 0.04, 1),
    ]


def _wagon(j: float) -> list[Draft]:
    return [
        _box("tray", (0.05, 0.3, 0), (0.42 * j, 0.1, 0.25), 0),
        _rod("handle", (-0.38, 0.28, 0), (-0.6, 0.7, 0), 0.035, 1),
        _rod("grip", (-0.6, 0.7, -0.1), (-0.6, 0.7, 0.1), 0.035, 1),
        *_wheels(0.3, 0.25, 0.12, 2),
    ]


def _arch(j: float) -> list[Draft]:
    return [
        _rod("post_0", (-0.36, 0.08, 0), (-0.36, 0.75, 0), 0.08, 0),
        _rod("post_1", (0.36, 0.08, 0), (0.36, 0.75, 0), 0.08, 0),
        _box("beam", (0, 0.85, 0), (0.5, 0.08 * j, 0.12), 1),
    ]


def _umbrella(j: float) -> list[Draft]:
    tips = [
        (0.45 * math.cos(a), 0.62, 0.45 * math.sin(a))
        for a in (k * math.pi / 3 + 0.2 for k in range(6))
    ]
    ribs = [_rod(f"rib_{i}", (0, 0.9 * j, 0), tip, 0.05, 0) for i, tip in enumerate(tips)]
    return [_rod("pole", (0, 0.05, 0), (0, 0.9 * j, 0), 0.035, 1), *ribs]


def _windmill(j: float) -> list[Draft]:
    blades = [
        _rod(
            f"blade_{i}",
            (0, 0.66, -0.18),
            (0.34 * j * math.cos(a), 0.66 + 0.34 * j * math.sin(a), -0.18),
            0.05,
            1,
        )
        for i, a in enumerate(k * math.pi / 2 + 0.6 for k in range(4))
    ]
    return [_box("tower", (0, 0.35, 0), (0.13, 0.35, 0.13), 0), *blades]


def _plane(j: float) -> list[Draft]:
    return [
        _rod("hull", (-0.42, 0.3, 0), (0.42, 0.3, 0), 0.1, 0),
        _box("wings", (-0.03, 0.32, 0), (0.12, 0.03, 0.5 * j), 1),
        _box("fin", (0.42, 0.47, 0), (0.08, 0.14, 0.025), 1),
        _rod("strut", (0, 0.03, 0), (0, 0.25, 0), 0.04, 2),
    ]


def _ladder(j: float) -> list[Draft]:
    rungs = [
        _rod(f"rung_{i}", (-0.2, 0.18 + 0.2 * i, 0.0), (0.2, 0.18 + 0.2 * i, 0.0), 0.035, 1)
        for i in range(4)
    ]
    return [
        _rod("rail_0", (-0.22 * j, 0.04, 0), (-0.18, 0.95, 0), 0.045, 0),
        _rod("rail_1", (0.22 * j, 0.04, 0), (0.18, 0.95, 0), 0.045, 0),
        *rungs,
    ]


def _fence(j: float) -> list[Draft]:
    posts = [
        _box(f"post_{i}", (-0.45 + 0.3 * i, 0.32, 0), (0.045, 0.32 * j, 0.03), 0) for i in range(4)
    ]
    rails = [
        _rod(f"rail_{i}", (-0.55, 0.2 + 0.28 * i, -0.04), (0.55, 0.2 + 0.28 * i, -0.04), 0.035, 1)
        for i in range(2)
    ]
    return posts + rails


def _star(j: float) -> list[Draft]:
    centre = (0.0, 0.45, 0.0)
    spokes = []
    for i in range(7):
        y = 1.0 - 2.0 * (i + 0.5) / 7
        r, a = math.sqrt(1.0 - y * y), 2.4 * i
        tip = (0.42 * j * r * math.cos(a), 0.45 + 0.42 * y, 0.42 * j * r * math.sin(a))
        spokes.append(_rod(f"spoke_{i}", centre, tip, 0.055, i % 2))
    return spokes


def _ring(j: float) -> list[Draft]:
    beads = []
    for i in range(9):
        a = 2 * math.pi * i / 9
        centre = (0.36 * j * math.cos(a), 0.47 + 0.36 * math.sin(a), 0.0)
        beads.append(_ball(f"bead_{i}", centre, 0.11, i % 2))
    return beads


def _pyramid(j: float) -> list[Draft]:
    return [
        _box(
            f"step_{i}",
            (0, 0.1 + 0.2 * i, 0),
            (0.45 - 0.11 * j * i, 0.1, 0.45 - 0.11 * j * i),
            i % 2,
        )
        for i in range(4)
    ]


def _helix(j: float) -> list[Draft]:
    drops = []
    for i in range(10):
        a = 0.8 * i
        centre = (0.26 * j * math.cos(a), 0.1 + 0.085 * i, 0.26 * j * math.sin(a))
        drops.append(_ball(f"drop_{i}", centre, 0.1, i % 2))
    return drops


def _cage(j: float) -> list[Draft]:
    edge, bars = 0.34 * j, []
    for axis in range(3):
        for i, (a, b) in enumerate(((-1, -1), (-1, 1), (1, -1), (1, 1))):
            ends = []
            for c in (-1.0, 1.0):
                p = [edge * a, edge * b]
                p.insert(axis, edge * c)
                ends.append((p[0], p[1] + 0.42, p[2]))
            bars.append(_rod(f"bar_{axis}_{i}", ends[0], ends[1], 0.045, axis % 2))
    return bars


def _log_pile(j: float) -> list[Draft]:
    logs = []
    for i in range(8):
        level, side = divmod(i, 2)
        y, off, reach = 0.09 + 0.15 * level, 0.26 * j * (2 * side - 1), 0.42
        if level % 2:
            logs.append(_rod(f"log_{i}", (off, y, -reach), (off, y, reach), 0.085, 1))
        else:
            logs.append(_rod(f"log_{i}", (-reach, y, off), (reach, y, off), 0.085, 0))
    return logs


@dataclass(frozen=True, slots=True)
class ObjectClass:
    """A class: its group, its builder (one proportion near 1 varies) and a usual size in metres."""

    name: str
    group: Group
    build: Callable[[float], list[Draft]]
    size: float

    @property
    def part_names(self) -> tuple[str, ...]:
        """The names of its parts, without a mark."""
        return tuple(draft.name for draft in self.build(1.0))


_TABLE = (
    ObjectClass("table", "covered", _table, 1.3),
    ObjectClass("chair", "covered", _chair, 1.0),
    ObjectClass("lamp", "covered", _lamp, 1.2),
    ObjectClass("bottle", "covered", _bottle, 0.8),
    ObjectClass("plant", "covered", _plant, 1.1),
    ObjectClass("car", "covered", _car, 1.3),
    ObjectClass("snowman", "covered", _snowman, 1.2),
    ObjectClass("dumbbell", "covered", _dumbbell, 1.0),
    ObjectClass("shelf", "covered", _shelf, 1.3),
    ObjectClass("dog", "covered", _dog, 1.1),
    ObjectClass("stool", "novel-1", _stool, 1.0),
    ObjectClass("truck", "novel-1", _truck, 1.3),
    ObjectClass("twin_lamp", "novel-1", _twin_lamp, 1.2),
    ObjectClass("camel", "novel-1", _camel, 1.2),
    ObjectClass("bench", "novel-1", _bench, 1.2),
    ObjectClass("wagon", "novel-1", _wagon, 1.2),
    ObjectClass("arch", "novel-2", _arch, 1.2),
    ObjectClass("umbrella", "novel-2", _umbrella, 1.2),
    ObjectClass("windmill", "novel-2", _windmill, 1.2),
    ObjectClass("plane", "novel-2", _plane, 1.2),
    ObjectClass("ladder", "novel-2", _ladder, 1.2),
    ObjectClass("fence", "novel-2", _fence, 1.2),
    ObjectClass("star", "novel-3", _star, 1.1),
    ObjectClass("ring", "novel-3", _ring, 1.1),
    ObjectClass("pyramid", "novel-3", _pyramid, 1.1),
    ObjectClass("helix", "novel-3", _helix, 1.1),
    ObjectClass("cage", "novel-3", _cage, 1.1),
    ObjectClass("log_pile", "novel-3", _log_pile, 1.1),
)
OBJECT_CLASSES = {c.name: c for c in _TABLE}
COVERED = tuple(c.name for c in _TABLE if c.group == "covered")

_MARK_SEATS: dict[str, Vector] = {
    "car": (0.06, 0.57, 0.0),
    "lamp": (0.0, 0.93, 0.0),
    "dog": (0.05, 0.56, 0.0),
}
MARKS = ("ball", "block", "spike", "bar")
FINE = tuple(f"{base}/{mark}" for base in _MARK_SEATS for mark in MARKS)


def _mark(base: str, mark: str) -> Draft:
    x, y, z = _MARK_SEATS[base]
    shapes: dict[str, Shape] = {
        "ball": Sphere((x, y + 0.07, z), 0.12),
        "block": Box((x, y + 0.07, z), (0.11, 0.1, 0.11), _AXES),
        "spike": Capsule((x, y, z), (x, y + 0.26, z), 0.05),
        "bar": Capsule((x - 0.2, y + 0.05, z), (x + 0.2, y + 0.05, z), 0.05),
    }
    return Draft("mark", shapes[mark], 2)


def draw_surfaces(rng: np.random.Generator, size: float) -> tuple[Surface, Surface, Surface]:
    """Draw the three surfaces of an object; they tell nothing about its class."""
    return part_surface(rng, size), part_surface(rng, size), part_surface(rng, size)


def similar_surfaces(
    surfaces: tuple[Surface, Surface, Surface], rng: np.random.Generator
) -> tuple[Surface, Surface, Surface]:
    """Return the surfaces of a look-alike."""
    first, second, third = (similar(s, rng) for s in surfaces)
    return first, second, third


def draw_mark(rng: np.random.Generator, category: str) -> str:
    """Draw a mark for the classes that have fine classes; '' for the others."""
    return MARKS[rng.integers(len(MARKS))] if category in _MARK_SEATS else ""


def make_object(
    category: str,
    mark: str,
    surfaces: tuple[Surface, Surface, Surface],
    size: float,
    jitter: float,
    position: tuple[float, float],
    yaw: float,
) -> WorldObject:
    """Build an object of `size` metres on the floor at `position` (x, z), turned by `yaw`."""
    drafts = OBJECT_CLASSES[category].build(jitter)
    if mark:
        drafts = [*drafts, _mark(category, mark)]
    parts = tuple(
        Part(d.name, place_shape(d.shape, size, position, yaw), surfaces[d.slot]) for d in drafts
    )
    return WorldObject(category, mark, parts, position, 0.4 * size)


def place_shape(shape: Shape, size: float, position: tuple[float, float], yaw: float) -> Shape:
    """Scale a shape by `size`, turn it about the y axis and move it on the floor."""
    cos, sin = math.cos(yaw), math.sin(yaw)

    def turn(p: Vector) -> Vector:
        return p[0] * cos - p[2] * sin, p[1], p[0] * sin + p[2] * cos

    def place(p: Vector) -> Vector:
        x, y, z = turn(p)
        return position[0] + size * x, size * y, position[1] + size * z

    if isinstance(shape, Sphere):
        return Sphere(place(shape.centre), size * shape.radius)
    if isinstance(shape, Capsule):
        return Capsule(place(shape.start), place(shape.end), size * shape.radius)
    a, b, c = shape.half
    first, second, third = shape.axes
    half = (size * a, size * b, size * c)
    return Box(place(shape.centre), half, (turn(first), turn(second), turn(third)))
