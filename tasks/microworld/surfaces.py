"""Colours and procedural surfaces: those that context predicts, and a few that it does not."""

import math

import numpy as np

from tasks.microworld.scene import Colour, Pattern, Surface

_ROOM_SHARES: dict[Pattern, float] = {
    "gradient": 0.25,
    "checks": 0.2,
    "stripes": 0.3,
    "wood": 0.13,
    "noise": 0.12,
}
_PART_SHARES: dict[Pattern, float] = {"plain": 0.7, "stripes": 0.14, "checks": 0.1, "noise": 0.06}


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """Return the RGB colour in [0, 1] of a hue (any real, period 1), saturation and value."""

    def channel(offset: float) -> float:
        k = (offset + hue * 6.0) % 6.0
        return value - value * saturation * max(0.0, min(k, 4.0 - k, 1.0))

    return channel(5.0), channel(3.0), channel(1.0)


def blend(first: Colour, second: Colour, share: float) -> Colour:
    """Return `first` moved by `share` in [0, 1] towards `second`."""
    a, b, c = ((1.0 - share) * x + share * y for x, y in zip(first, second, strict=True))
    return a, b, c


def _draw_pattern(rng: np.random.Generator, shares: dict[Pattern, float]) -> Pattern:
    # Generator.choice with probabilities takes ten times as long.
    rest = rng.uniform()
    for pattern, share in shares.items():
        rest -= share
        if rest < 0:
            return pattern
    return next(iter(shares))


def room_surface(rng: np.random.Generator, contrast: float) -> Surface:
    """Draw the surface of a floor or wall: large, low in saturation, `contrast` in [0, 1]."""
    pattern = _draw_pattern(rng, _ROOM_SHARES)
    hue, saturation, value = rng.uniform(), rng.uniform(0.05, 0.4), rng.uniform(0.5, 1.0)
    colour = hsv(hue, saturation, value)
    depth = {"gradient": 0.6, "checks": 0.45, "stripes": 0.5, "wood": 0.4, "noise": 0.3}
    darker = hsv(
        hue + rng.uniform(-0.12, 0.12), saturation, value * (1.0 - contrast * depth[pattern])
    )
    scale = {
        "gradient": rng.uniform(3.0, 7.0),
        "checks": rng.uniform(0.5, 1.2),
        "stripes": rng.uniform(0.5, 1.3),
        "wood": rng.uniform(0.35, 0.8),
        "noise": rng.uniform(0.15, 0.5),
    }
    angle = 0.5 * math.pi * rng.integers(2) + rng.normal(0.0, 0.08)
    return Surface(
        pattern, colour, darker, float(scale[pattern]), angle, rng.uniform(0, 2 * math.pi)
    )


def part_surface(rng: np.random.Generator, size: float) -> Surface:
    """Draw the surface of an object's part or a garment of about `size` metres."""
    pattern = _draw_pattern(rng, _PART_SHARES)
    hue, value = rng.uniform(), rng.uniform(0.4, 0.95)
    colour = hsv(hue, rng.uniform(0.4, 0.95), value)
    other = hsv(hue + rng.uniform(0.1, 0.9), rng.uniform(0.1, 0.8), rng.uniform(0.25, 0.95))
    share = 0.35 if pattern == "noise" else 0.8
    scale = size * rng.uniform(0.3, 0.6)
    return Surface(
        pattern, colour, blend(colour, other, share), scale, 0.0, rng.uniform(0, 2 * math.pi)
    )


def plain(colour: Colour) -> Surface:
    """Return a surface of one colour."""
    return Surface("plain", colour, colour, 1.0)


def similar(surface: Surface, rng: np.random.Generator) -> Surface:
    """Return a look-alike: the same pattern in slightly other colours."""
    tint = hsv(rng.uniform(), rng.uniform(0.3, 0.8), rng.uniform(0.3, 0.9))
    return Surface(
        surface.pattern,
        blend(surface.colour, tint, 0.22),
        blend(surface.second, tint, 0.22),
        surface.scale,
        surface.angle,
        surface.phase + 0.7,
    )
