"""Colours of the visible points: procedural patterns, one distant light, soft contact shadows."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tasks.microworld.primitives import Packed, View
from tasks.microworld.scene import Pattern, Scene, Surface

Floats = NDArray[np.float32]
Ints = NDArray[np.intp]

_PATTERNS: tuple[Pattern, ...] = ("plain", "gradient", "checks", "stripes", "wood", "noise")
_TAU = np.float32(2 * math.pi)


def shade(
    scene: Scene,
    view: View,
    packed: Packed,
    depth: Floats,
    parts: Ints,
    xs: Floats,
    ys: Floats,
    world_ray: tuple[Floats, Floats, Floats],
) -> NDArray[np.uint8]:
    """Return uint8 (N, 3) colours. `parts` numbers the parts, or is -1 - n for room surface n."""
    table = _surface_table(packed.surfaces + scene.room.surfaces[::-1])
    u, v, light = (np.empty(len(depth), dtype=np.float32) for _ in range(3))
    room, solid = np.flatnonzero(parts < 0), np.flatnonzero(parts >= 0)
    u[room], v[room], light[room] = _room_points(
        scene, depth[room], parts[room], tuple(r[room] for r in world_ray)
    )
    towards = [
        np.float32(sum(float(b) * d for b, d in zip(row, scene.light.direction, strict=True)))
        for row in view.basis
    ]
    u[solid], v[solid], cosine = _solid_points(
        view, packed, depth[solid], parts[solid], xs[solid], ys[solid], towards
    )
    light[solid] = scene.light.ambient + scene.light.strength * cosine
    mix = _pattern(table, parts, u, v, depth / np.float32(view.focal))
    image = np.empty((len(depth), 3), dtype=np.uint8)
    for channel in range(3):
        first, second = table[:, 4 + channel], table[:, 7 + channel]
        colour = (first[parts] + mix * (second - first)[parts]) * light
        image[:, channel] = np.rint(np.clip(colour, 0, 1) * np.float32(255))
    return image


def _surface_table(surfaces: Sequence[Surface]) -> Floats:
    """Rows: pattern, scale, angle, phase, colour, second colour; room surfaces last, reversed."""
    rows = [
        (_PATTERNS.index(s.pattern), s.scale, s.angle, s.phase, *s.colour, *s.second)
        for s in surfaces
    ]
    return np.array(rows, dtype=np.float32)


def _room_points(
    scene: Scene, depth: Floats, parts: Ints, ray: tuple[Floats, ...]
) -> tuple[Floats, Floats, Floats]:
    x, y, z = (np.float32(p) + depth * r for p, r in zip(scene.camera.position, ray, strict=True))
    number = -1 - parts
    level, side = number < 2, (number == 2) | (number == 3)
    u = np.where(side, z, x)
    v = np.where(level, z, y)
    d = scene.light.direction
    # Walls are lit from both sides, so that none is black; the floor gets the light from above.
    facing = np.array([d[1], 0.25, abs(d[0]), abs(d[0]), abs(d[2]), abs(d[2])], dtype=np.float32)
    light = scene.light.ambient + scene.light.strength * facing[number]
    floor = np.flatnonzero(number == 0)
    fx, fz, shadow = x[floor], z[floor], np.ones(len(floor), dtype=np.float32)
    for one in scene.instances:
        reach = np.float32(one.spread)
        sx = np.float32(one.ground[0] - 0.5 * one.spread * d[0])
        sz = np.float32(one.ground[1] - 0.5 * one.spread * d[2])
        distance = ((fx - sx) ** 2 + (fz - sz) ** 2) / (reach * reach)
        shadow *= 1 - np.float32(0.55) * np.exp(-distance)
    light[floor] *= shadow
    return u, v, light


def _solid_points(
    view: View,
    packed: Packed,
    depth: Floats,
    parts: Ints,
    xs: Floats,
    ys: Floats,
    towards: list[np.float32],
) -> tuple[Floats, Floats, Floats]:
    """Return pattern coordinates (metres) and the cosine to the light, in [0, 1]."""
    px, py, pz = (
        p - c[parts] for p, c in zip((xs * depth, ys * depth, depth), packed.first, strict=True)
    )
    axis = [a[parts] for a in packed.axis]
    length2 = axis[0] ** 2 + axis[1] ** 2 + axis[2] ** 2
    along = px * axis[0] + py * axis[1] + pz * axis[2]
    share = np.clip(along / np.maximum(length2, np.float32(1e-12)), 0, 1)
    radius = np.maximum(packed.radius[parts], np.float32(1e-6))
    normal = [(p - share * a) / radius for p, a in zip((px, py, pz), axis, strict=True)]
    right, down = view.basis[:, 0], -view.basis[:, 1]
    upward = px * down[0] + py * down[1] + pz * down[2]
    u = np.where(length2 > 0, along / np.sqrt(np.maximum(length2, np.float32(1e-12))), upward)
    v = px * right[0] + py * right[1] + pz * right[2]
    boxes = np.flatnonzero(packed.half[0][parts] > 0)
    if len(boxes):
        point = (px[boxes], py[boxes], pz[boxes])
        k = parts[boxes]
        local = [
            sum((r[k] * p for r, p in zip(packed.rotation[a], point, strict=True)), np.float32(0))
            for a in range(3)
        ]
        nearness = np.stack([np.abs(x) / packed.half[a][k] for a, x in enumerate(local)])
        face = np.argmax(nearness, axis=0)
        sign = np.sign(np.choose(face, local))
        for n in range(3):
            normal[n][boxes] = sign * np.choose(face, [packed.rotation[a][n][k] for a in range(3)])
        u[boxes] = np.where(face == 1, local[2], local[1])
        v[boxes] = np.where(face == 0, local[2], local[0])
    cosine = sum((n * t for n, t in zip(normal, towards, strict=True)), np.float32(0))
    # Half of the shade wraps around, so that the dark side keeps its form.
    return u, v, np.float32(0.35) + np.float32(0.65) * np.asarray(cosine)


def _pattern(table: Floats, parts: Ints, u: Floats, v: Floats, footprint: Floats) -> Floats:
    """Return the share of the second colour; contrast fades where a pixel covers a period."""
    kind = table[:, 0].astype(np.int8)[parts]
    mix = np.zeros(len(u), dtype=np.float32)
    for number in range(1, len(_PATTERNS)):
        at = np.flatnonzero(kind == number)
        if not len(at):
            continue
        own = parts[at]
        scale, phase = table[own, 1], table[own, 3]
        cos, sin = np.cos(table[:, 2])[own], np.sin(table[:, 2])[own]
        a = (u[at] * cos + v[at] * sin) / scale
        b = (v[at] * cos - u[at] * sin) / scale
        value = _waves(_PATTERNS[number], a, b, phase)
        fade = np.clip(2 - 5 * footprint[at] / scale, 0, 1)
        mix[at] = np.float32(0.5) + np.float32(0.5) * fade * value
    return mix


def _waves(pattern: Pattern, a: Floats, b: Floats, phase: Floats) -> Floats:
    """Return the pattern in [-1, 1] at coordinates in periods."""
    if pattern == "gradient":
        return np.asarray(np.sin(_TAU * a + phase))
    if pattern == "checks":
        half = np.float32(math.pi)
        return np.asarray(np.tanh(6 * np.sin(half * a + phase) * np.sin(half * b)))
    if pattern == "stripes":
        return np.asarray(np.tanh(4 * np.sin(_TAU * a + phase)))
    if pattern == "wood":
        warp = np.float32(0.3) * np.sin(np.float32(1.1) * b + phase)
        return np.asarray(np.sin(_TAU * (a + warp) + phase))
    return _noise(a + phase, b)


def _noise(a: Floats, b: Floats) -> Floats:
    """Return value noise in [-1, 1]: a hash of the lattice, smoothly interpolated."""
    i, j = np.floor(a), np.floor(b)
    s, t = a - i, b - j
    s, t = s * s * (3 - 2 * s), t * t * (3 - 2 * t)
    i, j = i.astype(np.int64), j.astype(np.int64)
    low = _hash(i, j) * (1 - s) + _hash(i + 1, j) * s
    high = _hash(i, j + 1) * (1 - s) + _hash(i + 1, j + 1) * s
    return np.asarray(low * (1 - t) + high * t)


def _hash(i: NDArray[np.int64], j: NDArray[np.int64]) -> Floats:
    h = (i * 374761393 + j * 668265263) & 0xFFFFFFFF
    h = ((h ^ (h >> 13)) * 1274126177) & 0xFFFFFFFF
    return ((h >> 16) & 0xFFFF).astype(np.float32) / np.float32(32767.5) - 1
