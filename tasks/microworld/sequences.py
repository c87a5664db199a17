"""Videos: a target among look-alikes, seen by a moving camera."""

import math
from dataclasses import replace

import numpy as np

from tasks.microworld.figures import draw_body, draw_pose, make_figure, similar_body, walking_pose
from tasks.microworld.objects import (
    COVERED,
    draw_mark,
    draw_surfaces,
    make_object,
    similar_surfaces,
)
from tasks.microworld.scene import Box, Camera, Figure, Occluder, Part, Scene, WorldObject
from tasks.microworld.settings import draw_light, draw_room
from tasks.microworld.surfaces import part_surface

_AXES = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


_TRIES = 12


class _Path:
    """A smooth path on the floor; `at` gives the place at a time in [0, 1]."""

    def __init__(self, rng: np.random.Generator, x: float, z: float, reach: float) -> None:
        self.x, self.z = x, z
        self.sway = reach * rng.uniform(0.6, 1.2)
        self.advance = reach * rng.uniform(-1.0, 1.0)
        self.speed = rng.uniform(2.5, 5.5)
        self.start = rng.uniform(-0.6, 0.6) + math.pi * rng.integers(2)
        self.phase = rng.uniform(0, 2 * math.pi)

    def at(self, time: float) -> tuple[float, float]:
        x = self.x + self.sway * math.sin(self.start + self.speed * time)
        return x, self.z + self.advance * math.sin(self.phase + 2.5 * time)

    def heading(self, time: float) -> float:
        """The turn of a walker: sideways along the path, still half towards the camera."""
        return 0.8 * math.cos(self.start + self.speed * time)


def video_frame(rng: np.random.Generator, time: float) -> Scene:
    """Draw a video and show it at a time in [0, 1): nothing drawn depends on the time.

    The target is a person or a covered object. One or two look-alikes move beside it, a pillar
    stands before its path, the camera drifts, turns and lags behind it. At time 0 neither stands
    before the target, which is in view.
    """
    room = draw_room(rng, (7.5, 9.5))
    light = draw_light(rng)
    path = _Path(rng, rng.uniform(-0.5, 0.5), rng.uniform(3.4, 4.6), 1.1)
    paths = [path, *_rivals(rng, path)]
    pillars = _pillars(rng, path)
    camera = _camera(rng, path, time)
    if rng.uniform() < 0.5:
        figures = _walkers(rng, paths, time)
        bystanders = _things(rng, 1, [_Path(rng, rng.uniform(-2, 2), 6.4, 0.0)], time)
        return Scene(camera, light, room, figures, bystanders, pillars, target=1)
    things = _things(rng, len(paths), paths, time)
    return Scene(camera, light, room, (), things, pillars, target=1)


def _camera(rng: np.random.Generator, path: _Path, time: float) -> Camera:
    lag, follow = rng.uniform(0.05, 0.2), rng.uniform(0.3, 0.9)
    drift, sway = rng.uniform(-0.6, 0.6), rng.uniform(0.0, 0.06)
    height, pitch = rng.uniform(1.1, 1.7), rng.uniform(0.05, 0.2)
    focal, rise = rng.uniform(1.0, 1.3), rng.uniform(-0.2, 0.2)
    x, z = path.at(time - lag)
    at = drift * (time - 0.5)
    yaw = follow * math.atan2(x - at, z) + sway * math.sin(9.0 * time)
    return Camera((at, height + rise * time, 0.4 * drift * time), yaw, pitch, focal)


def _walkers(rng: np.random.Generator, paths: list[_Path], time: float) -> tuple[Figure, ...]:
    body = draw_body(rng)
    figures = []
    for number, path in enumerate(paths):
        own = body if number == 0 else similar_body(body, rng)
        pose = replace(draw_pose(rng), lean_side=0.0)
        moved = walking_pose(pose, path.phase + 4.0 * path.speed * time)
        figures.append(make_figure(own, moved, path.at(time), path.heading(time)))
    return tuple(figures)


def _things(
    rng: np.random.Generator, count: int, paths: list[_Path], time: float
) -> tuple[WorldObject, ...]:
    category = COVERED[rng.integers(len(COVERED))]
    mark, jitter = draw_mark(rng, category), rng.uniform(0.85, 1.15)
    size = rng.uniform(1.0, 1.3)
    surfaces = draw_surfaces(rng, size)
    things = []
    for number, path in zip(range(count), paths, strict=True):
        own = surfaces if number == 0 else similar_surfaces(surfaces, rng)
        yaw = path.phase + 0.5 * path.heading(time)
        things.append(make_object(category, mark, own, size, jitter, path.at(time), yaw))
    return tuple(things)


def _rivals(rng: np.random.Generator, path: _Path) -> list[_Path]:
    """One or two paths of look-alikes, none of which starts before the target."""
    rivals: list[_Path] = []
    wanted = rng.integers(1, 3)
    for _ in range(_TRIES):
        rival = _Path(rng, rng.uniform(-1.4, 1.4), path.z + rng.uniform(0.9, 2.0), 0.8)
        x, z = rival.at(0.0)
        apart = abs(_bearing(path.at(0.0)) - _bearing((x, z))) > 0.22
        if len(rivals) < wanted and (apart or z > path.at(0.0)[1] + 0.6):
            rivals.append(rival)
    return rivals


def _pillars(rng: np.random.Generator, path: _Path) -> tuple[Occluder, ...]:
    """Up to two upright boards near the line of sight to the path, not to its start."""
    pillars: list[Occluder] = []
    wanted = rng.integers(1, 3)
    for _ in range(_TRIES):
        share = rng.uniform(0.5, 0.65)
        place = (share * (path.x + rng.uniform(-1.0, 1.0) * path.sway), share * path.z)
        half = (rng.uniform(0.06, 0.14), rng.uniform(0.5, 1.0), 0.08)
        surface = part_surface(rng, 1.0)
        apart = abs(_bearing(path.at(0.0)) - _bearing(place)) > 0.2
        if len(pillars) < wanted and apart:
            box = Box((place[0], half[1], place[1]), half, _AXES)
            pillars.append(Occluder((Part("pillar", box, surface),), place, 0.2))
    return tuple(pillars)


def _bearing(place: tuple[float, float]) -> float:
    return math.atan2(*place)
