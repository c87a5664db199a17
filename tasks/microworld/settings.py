"""General scenes and object-centred views."""

import math
from dataclasses import dataclass

import numpy as np

from tasks.microworld.figures import draw_body, draw_pose, make_figure
from tasks.microworld.objects import (
    COVERED,
    OBJECT_CLASSES,
    draw_mark,
    draw_surfaces,
    make_object,
    place_shape,
)
from tasks.microworld.scene import (
    Box,
    Camera,
    Capsule,
    Figure,
    Light,
    Occluder,
    Part,
    Room,
    Scene,
    Sphere,
    WorldObject,
)
from tasks.microworld.surfaces import part_surface, room_surface

_AXES = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
_TRIES = 12


def draw_light(rng: np.random.Generator) -> Light:
    """Draw a light from above and before the things seen."""
    aside, height = rng.uniform(-0.8, 0.8), rng.uniform(0.5, 1.0)
    towards = (aside, height, -rng.uniform(0.3, 0.9))
    length = math.sqrt(sum(x * x for x in towards))
    x, y, z = (t / length for t in towards)
    return Light((x, y, z), rng.uniform(0.4, 0.6), rng.uniform(0.4, 0.6))


def draw_room(rng: np.random.Generator, depth: tuple[float, float], contrast: float = 1.0) -> Room:
    """Draw a room whose back wall is between `depth` metres from the camera at z = 0."""
    half = rng.uniform(2.6, 4.5)
    floor, ceiling, side, back = (room_surface(rng, contrast) for _ in range(4))
    return Room(
        (-half, 0.0, -2.5),
        (half + rng.uniform(-0.5, 0.5), rng.uniform(2.8, 4.0), rng.uniform(*depth)),
        (floor, ceiling, side, side, back, back),
    )


def general_scene(rng: np.random.Generator) -> Scene:
    """Draw a room with one near person, up to two further ones, and objects.

    The main person faces the camera within 50 degrees and fills 0.45 to 0.8 of the height.
    """
    body = draw_body(rng)
    focal, eye = rng.uniform(1.0, 1.25), rng.uniform(1.0, 1.7)
    z = focal * body.height / rng.uniform(0.45, 0.8)
    pitch = math.atan((eye - 0.5 * body.height) / z) + rng.normal(0.0, 0.03)
    camera = Camera((0.0, eye, 0.0), 0.0, pitch, focal)
    room = draw_room(rng, (6.2, 9.0))
    x = rng.uniform(-0.28, 0.28) * z / focal
    main = make_figure(body, draw_pose(rng), (x, z), rng.uniform(-0.87, 0.87))
    taken = [(x, z, 0.6)]
    figures = [main]
    for _ in range(int(2.0 * rng.uniform() ** 2 + 0.5)):
        spot = _free_spot(rng, camera, room, (main.ground[1] + 0.8, room.upper[2] - 0.6), taken)
        if spot is not None:
            figures.append(
                make_figure(draw_body(rng), draw_pose(rng), spot, rng.uniform(-0.9, 0.9))
            )
    objects = []
    for _ in range(rng.integers(1, 5)):
        spot = _free_spot(rng, camera, room, (2.2, room.upper[2] - 0.8), taken)
        if spot is not None:
            objects.append(_any_object(rng, spot))
    occluders = (_crate(rng, main),) if rng.uniform() < 0.2 else ()
    return Scene(camera, draw_light(rng), room, tuple(figures), tuple(objects), occluders)


def _free_spot(
    rng: np.random.Generator,
    camera: Camera,
    room: Room,
    depths: tuple[float, float],
    taken: list[tuple[float, float, float]],
) -> tuple[float, float] | None:
    """Find a place in view that keeps its distance from the others; None after some tries."""
    if depths[0] >= depths[1]:
        return None
    for _ in range(_TRIES):
        z = rng.uniform(*depths)
        x = rng.uniform(-0.45, 0.45) * z / camera.focal
        inside = room.lower[0] + 0.6 < x < room.upper[0] - 0.6
        if inside and all(math.hypot(x - a, z - b) > r + 0.45 for a, b, r in taken):
            taken.append((x, z, 0.5))
            return x, z
    return None


def _any_object(rng: np.random.Generator, spot: tuple[float, float]) -> WorldObject:
    category = COVERED[rng.integers(len(COVERED))]
    size = OBJECT_CLASSES[category].size * rng.uniform(0.75, 1.25)
    return make_object(
        category,
        draw_mark(rng, category),
        draw_surfaces(rng, size),
        size,
        rng.uniform(0.85, 1.15),
        spot,
        rng.uniform(-math.pi, math.pi),
    )


def _crate(rng: np.random.Generator, main: Figure) -> Occluder:
    """A low box between camera and main person."""
    x, z = main.ground
    share = rng.uniform(0.7, 0.85)
    half = (rng.uniform(0.15, 0.4), rng.uniform(0.15, 0.35), 0.15)
    place = (x * share + rng.uniform(-0.3, 0.3), z * share)
    box = Box((0.0, half[1], 0.0), half, _AXES)
    part = Part("crate", place_shape(box, 1.0, place, rng.uniform(-0.5, 0.5)), part_surface(rng, 1))
    return Occluder((part,), place, half[0] + 0.1)


@dataclass(frozen=True, slots=True)
class Framing:
    """Ranges of an object view, in sizes of the object: share of the image height that one size
    takes, height of the middle, shift from it; turn in radians."""

    fill: tuple[float, float]
    middle: float
    shift: float
    turn: float


WIDE = Framing((0.4, 0.8), 0.45, 0.22, math.pi)
CLOSE = Framing((0.55, 0.75), 0.6, 0.1, 1.2)
"""With room for the marks of fine classes; objects are seen from their side."""


def object_view(
    rng: np.random.Generator, category: str, mark: str, label: int, framing: Framing
) -> Scene:
    """Draw a view of one object between clutter; a mark that is not given is drawn."""
    size = rng.uniform(0.8, 1.2)
    yaw = rng.uniform(-framing.turn, framing.turn)
    if not mark:
        mark = draw_mark(rng, category)
    focal, pitch = rng.uniform(1.2, 1.6), rng.uniform(0.1, 0.55)
    distance = focal * size / rng.uniform(*framing.fill)
    aim = rng.uniform(-framing.shift, framing.shift) * size
    lift = 0.7 * rng.uniform(-framing.shift, framing.shift) * size
    camera = Camera(
        (aim, framing.middle * size + distance * math.sin(pitch) + lift, 0.0), 0.0, pitch, focal
    )
    z = distance * math.cos(pitch)
    thing = make_object(
        category, mark, draw_surfaces(rng, size), size, rng.uniform(0.85, 1.15), (0.0, z), yaw
    )
    room = draw_room(rng, (z + 1.6, z + 4.0), contrast=0.7)
    clutter = [_clutter(rng, z, size, behind=True) for _ in range(rng.integers(1, 4))]
    if rng.uniform() < 0.35:
        clutter.append(_clutter(rng, z, size, behind=False))
    return Scene(camera, draw_light(rng), room, (), (thing,), tuple(clutter), label=label)


def _clutter(rng: np.random.Generator, z: float, size: float, behind: bool) -> Occluder:
    """One or two plain shapes beside or behind the object, or a low one before it."""
    side = 2.0 * rng.integers(2) - 1.0
    if behind:
        place = (side * rng.uniform(0.5, 1.3) * size, z + rng.uniform(0.5, 1.2) * size)
        reach = rng.uniform(0.12, 0.3) * size
    else:
        place = (side * rng.uniform(0.15, 0.4) * size, z - rng.uniform(0.7, 0.9) * size)
        reach = rng.uniform(0.08, 0.16) * size
    form = rng.integers(3)
    if form == 0:
        shape: Sphere | Capsule | Box = Sphere((0.0, reach, 0.0), reach)
    elif form == 1:
        shape = Capsule((0.0, 0.5 * reach, 0.0), (0.0, 2.5 * reach, 0.0), 0.5 * reach)
    else:
        shape = Box((0.0, reach, 0.0), (reach, reach, 0.7 * reach), _AXES)
    placed = place_shape(shape, 1.0, place, rng.uniform(-math.pi, math.pi))
    return Occluder((Part("clutter", placed, part_surface(rng, reach)),), place, reach)
