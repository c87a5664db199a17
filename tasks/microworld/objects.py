"""Classes of objects, and objects placed in the world.

Covered classes differ in the arrangement of their parts. A fine class is a covered class with one
of four small marks. Novel classes lie at three levels of distance from the covered ones: level 1
alters one covered class, level 2 combines known parts in a new arrangement, level 3 repeats parts
in patterns (radial, stacked, coiled) that no covered class has.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tasks.microworld import blueprints
from tasks.microworld.blueprints import AXES, Draft
from tasks.microworld.scene import Box, Capsule, Part, Shape, Sphere, Surface, Vector, WorldObject
from tasks.microworld.surfaces import part_surface, similar

Group = Literal["covered", "novel-1", "novel-2", "novel-3"]


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
    ObjectClass("table", "covered", blueprints.table, 1.3),
    ObjectClass("chair", "covered", blueprints.chair, 1.0),
    ObjectClass("lamp", "covered", blueprints.lamp, 1.2),
    ObjectClass("bottle", "covered", blueprints.bottle, 0.8),
    ObjectClass("plant", "covered", blueprints.plant, 1.1),
    ObjectClass("car", "covered", blueprints.car, 1.3),
    ObjectClass("snowman", "covered", blueprints.snowman, 1.2),
    ObjectClass("dumbbell", "covered", blueprints.dumbbell, 1.0),
    ObjectClass("shelf", "covered", blueprints.shelf, 1.3),
    ObjectClass("dog", "covered", blueprints.dog, 1.1),
    ObjectClass("stool", "novel-1", blueprints.stool, 1.0),
    ObjectClass("truck", "novel-1", blueprints.truck, 1.3),
    ObjectClass("twin_lamp", "novel-1", blueprints.twin_lamp, 1.2),
    ObjectClass("camel", "novel-1", blueprints.camel, 1.2),
    ObjectClass("bench", "novel-1", blueprints.bench, 1.2),
    ObjectClass("wagon", "novel-1", blueprints.wagon, 1.2),
    ObjectClass("arch", "novel-2", blueprints.arch, 1.2),
    ObjectClass("umbrella", "novel-2", blueprints.umbrella, 1.2),
    ObjectClass("windmill", "novel-2", blueprints.windmill, 1.2),
    ObjectClass("plane", "novel-2", blueprints.plane, 1.2),
    ObjectClass("ladder", "novel-2", blueprints.ladder, 1.2),
    ObjectClass("fence", "novel-2", blueprints.fence, 1.2),
    ObjectClass("star", "novel-3", blueprints.star, 1.1),
    ObjectClass("ring", "novel-3", blueprints.ring, 1.1),
    ObjectClass("pyramid", "novel-3", blueprints.pyramid, 1.1),
    ObjectClass("helix", "novel-3", blueprints.helix, 1.1),
    ObjectClass("cage", "novel-3", blueprints.cage, 1.1),
    ObjectClass("log_pile", "novel-3", blueprints.log_pile, 1.1),
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
        "block": Box((x, y + 0.07, z), (0.11, 0.1, 0.11), AXES),
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
