"""A vectorised ray-caster of capsules, boxes and spheres in a room.

Each primitive is tested on the pixels of its own bounding rectangle only; all pairs of primitive
and pixel are worked on at once. Camera frame: x right, y down, z forward; a ray is (x, y, 1), so
its parameter is the depth.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.microworld.primitives import NEAR, Packed, View, pack, view_of
from tasks.microworld.scene import Scene
from tasks.microworld.shading import shade

Floats = NDArray[np.float32]
Ints = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Rendered:
    """An image with its exact annotations per pixel.

    image: uint8 (H, W, 3) RGB. depth: float32 (H, W), metres along the optical axis, whole
    millimetres. instances: uint8 (H, W), 0 for the room. parts: int16 (H, W), the place of the
    visible part in the scene's list of all parts, or -(1 + n) for room surface n. extents: bool
    (instances + 1, H, W), where an instance would be seen if nothing stood before it.
    """

    image: NDArray[np.uint8]
    depth: Floats
    instances: NDArray[np.uint8]
    parts: NDArray[np.int16]
    extents: NDArray[np.bool_]


def render(scene: Scene, size: tuple[int, int]) -> Rendered:
    """Cast one ray through the centre of each pixel. `size` is (height, width)."""
    height, width = size
    view = view_of(scene.camera, height, width)
    packed = pack(scene, view)
    xs = np.tile(view.columns, height)
    ys = np.repeat(view.rows, width)
    depth, parts, world_ray = _room(scene, view, xs, ys)
    extents = np.zeros((len(scene.instances) + 1, height * width), dtype=np.bool_)
    pixels, depths, owners = _cast(packed, view, xs, ys)
    extents[packed.instance[owners], pixels] = True
    np.minimum.at(depth, pixels, depths)
    seen = depths == depth[pixels]
    parts[pixels[seen]] = owners[seen]
    # Room surfaces have negative numbers and find their 0 at the end of the table.
    instances = np.append(packed.instance, [0] * 6).astype(np.uint8)[parts]
    image = shade(scene, view, packed, depth, parts, xs, ys, world_ray)
    shape = (height, width)
    return Rendered(
        image.reshape(*shape, 3),
        (np.rint(depth * np.float32(1000.0)) / np.float32(1000.0)).reshape(shape),
        instances.reshape(shape),
        parts.astype(np.int16).reshape(shape),
        extents.reshape(-1, *shape),
    )


def _room(
    scene: Scene, view: View, xs: Floats, ys: Floats
) -> tuple[Floats, Ints, tuple[Floats, Floats, Floats]]:
    """Return depth and surface of the room behind everything, and the rays in the world frame."""
    depth = np.full(len(xs), np.inf, dtype=np.float32)
    surface = np.zeros(len(xs), dtype=np.intp)
    rays = []
    for axis, (low_id, high_id) in enumerate(((2, 3), (0, 1), (4, 5))):
        right, down, forward = view.basis[:, axis]
        ray = right * xs + down * ys + forward
        start = np.float32(scene.camera.position[axis])
        low = np.float32(scene.room.lower[axis]) - start
        high = np.float32(scene.room.upper[axis]) - start
        upward = ray > 0
        ray = np.where(np.abs(ray) < 1e-9, np.float32(1e-9), ray)
        t = np.where(upward, high, low) / ray
        nearer = t < depth
        depth = np.where(nearer, t, depth)
        surface = np.where(nearer, np.where(upward, -1 - high_id, -1 - low_id), surface)
        rays.append(ray)
    return depth, surface, (rays[0], rays[1], rays[2])


def _cast(packed: Packed, view: View, xs: Floats, ys: Floats) -> tuple[Ints, Floats, Ints]:
    """Return pixel, depth and primitive of all hits."""
    hits = []
    for chosen, cast in (
        (packed.spheres, _cast_spheres),
        (packed.capsules, _cast_capsules),
        (packed.boxes, _cast_boxes),
    ):
        if not len(chosen):
            continue
        owner, pixel = _pairs(packed.rectangles[chosen], view.width)
        t = cast(packed, chosen[owner], xs[pixel], ys[pixel])
        hit = np.flatnonzero(t > NEAR)
        hits.append((pixel[hit], t[hit], chosen[owner[hit]]))
    if not hits:
        return np.zeros(0, np.intp), np.zeros(0, np.float32), np.zeros(0, np.intp)
    pixels, depths, owners = zip(*hits, strict=True)
    return np.concatenate(pixels), np.concatenate(depths), np.concatenate(owners)


def _pairs(rectangles: Ints, width: int) -> tuple[Ints, Ints]:
    """Return each pixel of each rectangle (x0, y0, x1, y1) with the number of its rectangle."""
    x0, y0, x1, y1 = rectangles.T
    wide = x1 - x0
    counts = wide * (y1 - y0)
    owner = np.repeat(np.arange(len(counts)), counts)
    place = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    row = place // wide[owner]
    corner = y0 * width + x0
    return owner, corner[owner] + row * (width - wide[owner]) + place


def _cast_spheres(packed: Packed, k: Ints, x: Floats, y: Floats) -> Floats:
    cx, cy, cz = (c[k] for c in packed.first)
    dd = x * x + y * y + 1
    near = (x * cx + y * cy + cz) / dd
    # Distances are taken from the ray's point nearest to the centre, where float32 is exact enough.
    ex, ey, ez = near * x - cx, near * y - cy, near - cz
    rest = packed.radius[k] ** 2 - (ex * ex + ey * ey + ez * ez)
    return np.where(rest > 0, near - np.sqrt(np.maximum(rest, 0) / dd), 0)


def _cast_capsules(packed: Packed, k: Ints, x: Floats, y: Floats) -> Floats:
    """Solve the infinite cylinder, then the cap on the side where its hit lies outside."""
    ax, ay, az = (c[k] for c in packed.first)
    bx, by, bz = (c[k] for c in packed.axis)
    rr = packed.radius[k] ** 2
    dd = x * x + y * y + 1
    middle = (
        x * (ax + np.float32(0.5) * bx)
        + y * (ay + np.float32(0.5) * by)
        + (az + np.float32(0.5) * bz)
    ) / dd
    ox, oy, oz = middle * x - ax, middle * y - ay, middle - az
    bb = bx * bx + by * by + bz * bz
    bd = bx * x + by * y + bz
    bo = bx * ox + by * oy + bz * oz
    do = x * ox + y * oy + oz
    oo = ox * ox + oy * oy + oz * oz
    a = bb * dd - bd * bd
    b = bb * do - bo * bd
    c = bb * oo - bo * bo - rr * bb
    h = b * b - a * c
    # A ray along the axis has a = 0 and meets a cap only.
    t = (-b - np.sqrt(np.maximum(h, 0))) / np.maximum(a, np.float32(1e-9) * bb * dd)
    along = bo + t * bd
    far_end = along > bb
    side = (along >= 0) & ~far_end
    cx, cy, cz = (np.where(far_end, o - e, o) for o, e in ((ox, bx), (oy, by), (oz, bz)))
    cap_b = x * cx + y * cy + cz
    cap_h = cap_b * cap_b - dd * (cx * cx + cy * cy + cz * cz - rr)
    cap_t = (-cap_b - np.sqrt(np.maximum(cap_h, 0))) / dd
    hit = (h > 0) & (side | (cap_h > 0))
    return np.where(hit, middle + np.where(side, t, cap_t), 0)


def _cast_boxes(packed: Packed, k: Ints, x: Floats, y: Floats) -> Floats:
    """Intersect the three slabs of each box in its own frame."""
    enter = np.full(len(k), -np.inf, dtype=np.float32)
    leave = np.full(len(k), np.inf, dtype=np.float32)
    for axis in range(3):
        rx, ry, rz = (packed.rotation[axis][n][k] for n in range(3))
        slope = rx * x + ry * y + rz
        slope = np.where(np.abs(slope) < 1e-9, np.float32(1e-9), slope)
        centre = packed.local_centre[axis][k] / slope
        reach = np.abs(packed.half[axis][k] / slope)
        enter = np.maximum(enter, centre - reach)
        leave = np.minimum(leave, centre + reach)
    return np.where((enter < leave), enter, 0)
