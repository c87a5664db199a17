"""The arrangements of parts that make the classes of objects.

An object stands on y = 0 in its own frame, is about 1 long, and looks along -x. Each builder takes
one proportion near 1 that varies within its class.
"""

import math
from dataclasses import dataclass

from tasks.microworld.scene import Box, Capsule, Shape, Sphere, Vector

AXES = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


@dataclass(frozen=True, slots=True)
class Draft:
    """A part before it has a surface: `slot` 0, 1 or 2 chooses among the object's surfaces."""

    name: str
    shape: Shape
    slot: int = 0


def _box(name: str, centre: Vector, half: Vector, slot: int = 0) -> Draft:
    return Draft(name, Box(centre, half, AXES), slot)


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


def table(j: float) -> list[Draft]:
    return [
        _box("top", (0, 0.6, 0), (0.5, 0.05, 0.33 * j), 0),
        *_four_legs(0.42, 0.26 * j, 0.58, 0.045, 1),
    ]


def chair(j: float) -> list[Draft]:
    return [
        _box("seat", (0, 0.45, 0), (0.27, 0.05, 0.27), 0),
        _box("back", (0, 0.45 + 0.27 * j, 0.24), (0.27, 0.27 * j, 0.045), 0),
        *_four_legs(0.22, 0.22, 0.43, 0.04, 1),
    ]


def lamp(j: float) -> list[Draft]:
    return [
        _box("base", (0, 0.05, 0), (0.22, 0.05, 0.22), 1),
        _rod("pole", (0, 0.08, 0), (0, 0.7, 0), 0.04, 1),
        _ball("shade", (0, 0.75, 0), 0.21 * j, 0),
    ]


def bottle(j: float) -> list[Draft]:
    return [
        _rod("body", (0, 0.2, 0), (0, 0.45, 0), 0.2 * j, 0),
        _rod("neck", (0, 0.5, 0), (0, 0.85, 0), 0.07, 0),
        _ball("stopper", (0, 0.92, 0), 0.085, 1),
    ]


def plant(j: float) -> list[Draft]:
    return [
        _box("pot", (0, 0.15, 0), (0.17, 0.15, 0.17), 1),
        _rod("stem", (0, 0.3, 0), (0, 0.6, 0), 0.04, 2),
        _ball("leaves_0", (-0.16 * j, 0.68, 0.02), 0.19, 0),
        _ball("leaves_1", (0.16 * j, 0.7, -0.03), 0.19, 0),
        _ball("leaves_2", (0, 0.88, 0), 0.18, 0),
    ]


def car(j: float) -> list[Draft]:
    return [
        _box("chassis", (0, 0.24, 0), (0.5, 0.12, 0.25), 0),
        _box("cabin", (0.06, 0.46, 0), (0.26 * j, 0.11, 0.22), 1),
        *_wheels(0.32, 0.25, 0.12, 2),
    ]


def snowman(j: float) -> list[Draft]:
    return [
        _ball("base", (0, 0.25, 0), 0.26, 0),
        _ball("middle", (0, 0.58, 0), 0.19 * j, 0),
        _ball("head", (0, 0.85, 0), 0.14, 1),
    ]


def dumbbell(j: float) -> list[Draft]:
    return [
        _rod("bar", (-0.36, 0.19, 0), (0.36, 0.19, 0), 0.055, 1),
        _ball("weight_0", (-0.38, 0.19, 0), 0.19 * j, 0),
        _ball("weight_1", (0.38, 0.19, 0), 0.19 * j, 0),
    ]


def shelf(j: float) -> list[Draft]:
    boards = [
        _box(f"board_{i}", (0, 0.12 + 0.35 * j * i, 0), (0.36, 0.03, 0.18), 0) for i in range(3)
    ]
    sides = [
        _box(f"side_{i}", (s * 0.36, 0.45, 0), (0.03, 0.45, 0.18), 1) for i, s in enumerate((-1, 1))
    ]
    return boards + sides


def dog(j: float) -> list[Draft]:
    return [
        _rod("body", (-0.27, 0.42, 0), (0.27, 0.42, 0), 0.14, 0),
        _ball("head", (-0.46, 0.58 * j, 0), 0.14, 0),
        _rod("snout", (-0.5, 0.55 * j, 0), (-0.64, 0.52 * j, 0), 0.06, 1),
        _rod("tail", (0.38, 0.48, 0), (0.52, 0.68, 0), 0.035, 1),
        *_four_legs(0.26, 0.08, 0.4, 0.05, 0, 0.02),
    ]


def stool(j: float) -> list[Draft]:
    return [_ball("seat", (0, 0.52, 0), 0.2 * j, 0), *_four_legs(0.14, 0.14, 0.45, 0.04, 1, 0.1)]


def truck(j: float) -> list[Draft]:
    return [
        _box("chassis", (0, 0.2, 0), (0.52, 0.07, 0.24), 2),
        _box("cabin", (-0.38, 0.42, 0), (0.13, 0.16, 0.22), 1),
        _box("cargo", (0.14, 0.5, 0), (0.36, 0.24 * j, 0.24), 0),
        *_wheels(0.34, 0.24, 0.12, 2),
    ]


def twin_lamp(j: float) -> list[Draft]:
    return [
        _box("base", (0, 0.05, 0), (0.22, 0.05, 0.22), 1),
        _rod("pole", (0, 0.08, 0), (0, 0.68, 0), 0.04, 1),
        _rod("arm", (-0.28, 0.68, 0), (0.28, 0.68, 0), 0.035, 1),
        _ball("shade_0", (-0.3, 0.68, 0), 0.15 * j, 0),
        _ball("shade_1", (0.3, 0.68, 0), 0.15 * j, 0),
    ]


def camel(j: float) -> list[Draft]:
    return [
        _rod("body", (-0.24, 0.48, 0), (0.24, 0.48, 0), 0.13, 0),
        _ball("hump", (0.02, 0.62, 0), 0.14, 0),
        _rod("neck", (-0.34, 0.5, 0), (-0.46, 0.82 * j, 0), 0.06, 0),
        _ball("head", (-0.5, 0.86 * j, 0), 0.1, 0),
        *_four_legs(0.24, 0.08, 0.45, 0.05, 1, 0.02),
    ]


def bench(j: float) -> list[Draft]:
    return [
        _box("seat", (0, 0.36, 0), (0.5, 0.045, 0.2), 0),
        _box("back", (0, 0.6, 0.17), (0.5, 0.17 * j, 0.035), 0),
        *_four_legs(0.42, 0.14, 0.34, 0.04, 1),
    ]


def wagon(j: float) -> list[Draft]:
    return [
        _box("tray", (0.05, 0.3, 0), (0.42 * j, 0.1, 0.25), 0),
        _rod("handle", (-0.38, 0.28, 0), (-0.6, 0.7, 0), 0.035, 1),
        _rod("grip", (-0.6, 0.7, -0.1), (-0.6, 0.7, 0.1), 0.035, 1),
        *_wheels(0.3, 0.25, 0.12, 2),
    ]


def arch(j: float) -> list[Draft]:
    return [
        _rod("post_0", (-0.36, 0.08, 0), (-0.36, 0.75, 0), 0.08, 0),
        _rod("post_1", (0.36, 0.08, 0), (0.36, 0.75, 0), 0.08, 0),
        _box("beam", (0, 0.85, 0), (0.5, 0.08 * j, 0.12), 1),
    ]


def umbrella(j: float) -> list[Draft]:
    tips = [
        (0.45 * math.cos(a), 0.62, 0.45 * math.sin(a))
        for a in (k * math.pi / 3 + 0.2 for k in range(6))
    ]
    ribs = [_rod(f"rib_{i}", (0, 0.9 * j, 0), tip, 0.05, 0) for i, tip in enumerate(tips)]
    return [_rod("pole", (0, 0.05, 0), (0, 0.9 * j, 0), 0.035, 1), *ribs]


def windmill(j: float) -> list[Draft]:
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


def plane(j: float) -> list[Draft]:
    return [
        _rod("hull", (-0.42, 0.3, 0), (0.42, 0.3, 0), 0.1, 0),
        _box("wings", (-0.03, 0.32, 0), (0.12, 0.03, 0.5 * j), 1),
        _box("fin", (0.42, 0.47, 0), (0.08, 0.14, 0.025), 1),
        _rod("strut", (0, 0.03, 0), (0, 0.25, 0), 0.04, 2),
    ]


def ladder(j: float) -> list[Draft]:
    rungs = [
        _rod(f"rung_{i}", (-0.2, 0.18 + 0.2 * i, 0.0), (0.2, 0.18 + 0.2 * i, 0.0), 0.035, 1)
        for i in range(4)
    ]
    return [
        _rod("rail_0", (-0.22 * j, 0.04, 0), (-0.18, 0.95, 0), 0.045, 0),
        _rod("rail_1", (0.22 * j, 0.04, 0), (0.18, 0.95, 0), 0.045, 0),
        *rungs,
    ]


def fence(j: float) -> list[Draft]:
    posts = [
        _box(f"post_{i}", (-0.45 + 0.3 * i, 0.32, 0), (0.045, 0.32 * j, 0.03), 0) for i in range(4)
    ]
    rails = [
        _rod(f"rail_{i}", (-0.55, 0.2 + 0.28 * i, -0.04), (0.55, 0.2 + 0.28 * i, -0.04), 0.035, 1)
        for i in range(2)
    ]
    return posts + rails


def star(j: float) -> list[Draft]:
    centre = (0.0, 0.45, 0.0)
    spokes = []
    for i in range(7):
        y = 1.0 - 2.0 * (i + 0.5) / 7
        r, a = math.sqrt(1.0 - y * y), 2.4 * i
        tip = (0.42 * j * r * math.cos(a), 0.45 + 0.42 * y, 0.42 * j * r * math.sin(a))
        spokes.append(_rod(f"spoke_{i}", centre, tip, 0.055, i % 2))
    return spokes


def ring(j: float) -> list[Draft]:
    beads = []
    for i in range(9):
        a = 2 * math.pi * i / 9
        centre = (0.36 * j * math.cos(a), 0.47 + 0.36 * math.sin(a), 0.0)
        beads.append(_ball(f"bead_{i}", centre, 0.11, i % 2))
    return beads


def pyramid(j: float) -> list[Draft]:
    return [
        _box(
            f"step_{i}",
            (0, 0.1 + 0.2 * i, 0),
            (0.45 - 0.11 * j * i, 0.1, 0.45 - 0.11 * j * i),
            i % 2,
        )
        for i in range(4)
    ]


def helix(j: float) -> list[Draft]:
    drops = []
    for i in range(10):
        a = 0.8 * i
        centre = (0.26 * j * math.cos(a), 0.1 + 0.085 * i, 0.26 * j * math.sin(a))
        drops.append(_ball(f"drop_{i}", centre, 0.1, i % 2))
    return drops


def cage(j: float) -> list[Draft]:
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


def log_pile(j: float) -> list[Draft]:
    logs = []
    for i in range(8):
        level, side = divmod(i, 2)
        y, off, reach = 0.09 + 0.15 * level, 0.26 * j * (2 * side - 1), 0.42
        if level % 2:
            logs.append(_rod(f"log_{i}", (off, y, -reach), (off, y, reach), 0.085, 1))
        else:
            logs.append(_rod(f"log_{i}", (-reach, y, off), (reach, y, off), 0.085, 0))
    return logs
