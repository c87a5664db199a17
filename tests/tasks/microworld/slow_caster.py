"""A slow ray-caster in float64: every primitive on every pixel, formulas of its own."""

import math

import numpy as np

from tasks.microworld.scene import Capsule, Scene, Sphere


def cast(
    scene: Scene,
    size: tuple[int, int],
    offset: tuple[float, float] = (0.0, 0.0),
    only: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return depth (H, W) in metres and parts (H, W) as `Rendered` numbers them.

    `offset` moves the point in the pixel that is looked through, in pixels. `only` names the one
    part that is there.
    """
    height, width = size
    camera = scene.camera
    focal = camera.focal * height
    v, u = np.mgrid[0:height, 0:width].astype(np.float64)
    x = (u + 0.5 + offset[0] - width / 2) / focal
    y = (v + 0.5 + offset[1] - height / 2) / focal
    # Look straight on, then pitch down about x, then yaw right about y.
    cp, sp, cy, sy = (f(a) for a in (camera.pitch, camera.yaw) for f in (math.cos, math.sin))
    up, ahead = -y, np.ones_like(x)
    up, ahead = up * cp - ahead * sp, up * sp + ahead * cp
    ray = np.stack([x * cy + ahead * sy, up, ahead * cy - x * sy], axis=-1)
    eye = np.array(camera.position)

    depth = np.full(size, np.inf)
    parts = np.zeros(size, dtype=int)
    corners = (scene.room.lower, scene.room.upper)
    planes = ((1, 0), (1, 1), (0, 0), (0, 1), (2, 0), (2, 1))
    for number, (axis, side) in enumerate(planes):
        with np.errstate(divide="ignore"):
            t = (corners[side][axis] - eye[axis]) / ray[..., axis]
        if only in (None, -1 - number):
            _keep(depth, parts, np.where(t > 0, t, np.inf), -1 - number)
    number = 0
    for one in scene.instances:
        for part in one.parts:
            if only in (None, number):
                _keep(depth, parts, _entry(part.shape, eye, ray), number)
            number += 1
    return depth, parts


def _keep(depth: np.ndarray, parts: np.ndarray, t: np.ndarray, number: int) -> None:
    nearer = t < depth
    depth[nearer], parts[nearer] = t[nearer], number


def _entry(shape, eye: np.ndarray, ray: np.ndarray) -> np.ndarray:
    if isinstance(shape, Sphere):
        return _sphere(np.array(shape.centre), shape.radius, eye, ray)
    if isinstance(shape, Capsule):
        start, end = np.array(shape.start), np.array(shape.end)
        caps = [_sphere(c, shape.radius, eye, ray) for c in (start, end)]
        return np.minimum(np.minimum(*caps), _tube(start, end, shape.radius, eye, ray))
    return _box(shape, eye, ray)


def _sphere(centre, radius, eye, ray):
    a = (ray**2).sum(-1)
    b = 2 * (ray * (eye - centre)).sum(-1)
    c = ((eye - centre) ** 2).sum() - radius**2
    h = b * b - 4 * a * c
    with np.errstate(invalid="ignore"):
        return np.where(h > 0, (-b - np.sqrt(h)) / (2 * a), np.inf)


def _tube(start, end, radius, eye, ray):
    """The side of the cylinder only, by taking everything perpendicular to its axis."""
    length = np.linalg.norm(end - start)
    axis = (end - start) / length
    flat_ray = ray - (ray @ axis)[..., None] * axis
    flat_eye = (eye - start) - ((eye - start) @ axis) * axis
    a = (flat_ray**2).sum(-1)
    b = 2 * (flat_ray @ flat_eye)
    h = b * b - 4 * a * ((flat_eye**2).sum() - radius**2)
    with np.errstate(invalid="ignore", divide="ignore"):
        t = (-b - np.sqrt(h)) / (2 * a)
        place = (eye - start) @ axis + t * (ray @ axis)
        return np.where((h > 0) & (place >= 0) & (place <= length), t, np.inf)


def _box(shape, eye, ray):
    """The nearest of the six faces that is hit within its bounds."""
    axes, half = np.array(shape.axes), np.array(shape.half)
    local_eye = axes @ (eye - np.array(shape.centre))
    local_ray = ray @ axes.T
    best = np.full(ray.shape[:-1], np.inf)
    for axis in range(3):
        others = [n for n in range(3) if n != axis]
        for side in (-1.0, 1.0):
            with np.errstate(divide="ignore", invalid="ignore"):
                t = (side * half[axis] - local_eye[axis]) / local_ray[..., axis]
                point = local_eye + t[..., None] * local_ray
            inside = np.all([np.abs(point[..., n]) <= half[n] for n in others], axis=0)
            best = np.where(inside & (t > 0) & (t < best), t, best)
    return best
