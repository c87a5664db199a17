"""The primitives of a scene as arrays in the camera's frame, with their bounding rectangles."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.microworld.scene import Camera, Capsule, Scene, Sphere, Surface, Vector

Floats = NDArray[np.float32]
Ints = NDArray[np.intp]
Triple = tuple[Floats, Floats, Floats]

NEAR = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A camera at an image size: `basis` rows are right, down, forward in the world frame.

    `columns` (W,) and `rows` (H,) are the ray's x and y at the pixel centres.
    """

    height: int
    width: int
    focal: float
    basis: Floats
    position: Vector
    columns: Floats
    rows: Floats

    def project(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map world points (N, 3) to (N, 3): x and y in pixels (centres are whole), depth."""
        local = (points - np.array(self.position))[:, None, :] * self.basis.astype(np.float64)
        x, y, z = local.sum(axis=2).T
        safe = np.where(z > NEAR, z, np.nan)
        u = self.focal * x / safe + 0.5 * self.width - 0.5
        v = self.focal * y / safe + 0.5 * self.height - 0.5
        return np.stack([u, v, z], axis=1)


def view_of(camera: Camera, height: int, width: int) -> View:
    """Return the view of a camera at (height, width) pixels."""
    cy, sy = math.cos(camera.yaw), math.sin(camera.yaw)
    cp, sp = math.cos(camera.pitch), math.sin(camera.pitch)
    basis = np.array(
        [[cy, 0.0, -sy], [-sy * sp, -cp, -cy * sp], [sy * cp, -sp, cy * cp]], dtype=np.float32
    )
    focal = camera.focal * height
    columns = (np.arange(width) + 0.5 - 0.5 * width) / focal
    rows = (np.arange(height) + 0.5 - 0.5 * height) / focal
    return View(
        height,
        width,
        focal,
        basis,
        camera.position,
        columns.astype(np.float32),
        rows.astype(np.float32),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """All parts of a scene, in the order of its instances; arrays have one entry a part.

    first: centre, or start of a capsule. axis: from start to end (0 for the others). half,
    rotation, local_centre: of boxes, rotation[a][n] being component n of axis a. rectangles:
    (N, 4) x0, y0, x1, y1, end excluded. spheres, capsules, boxes: which parts are of that shape.
    """

    instance: Ints
    surfaces: tuple[Surface, ...]
    first: Triple
    axis: Triple
    radius: Floats
    half: Triple
    rotation: tuple[Triple, Triple, Triple]
    local_centre: Triple
    rectangles: Ints
    spheres: Ints
    capsules: Ints
    boxes: Ints


def pack(scene: Scene, view: View) -> Packed:
    """Gather the parts of a scene in the camera's frame."""
    placed = [(number, part) for number, one in enumerate(scene.instances, 1) for part in one.parts]
    kinds = np.zeros(len(placed), dtype=np.intp)
    table = np.zeros((len(placed), 19))
    for row, (_, part) in enumerate(placed):
        shape = part.shape
        if isinstance(shape, Sphere):
            table[row, 0:3], table[row, 6] = shape.centre, shape.radius
        elif isinstance(shape, Capsule):
            kinds[row] = 1
            table[row, 0:3], table[row, 3:6], table[row, 6] = shape.start, shape.end, shape.radius
        else:
            kinds[row] = 2
            table[row, 0:3], table[row, 7:10] = shape.centre, shape.half
            table[row, 10:19] = [value for axis in shape.axes for value in axis]
    basis = view.basis.astype(np.float64)
    first = _turn(table[:, 0:3] - np.array(view.position), basis)
    last = _turn(table[:, 3:6] - np.array(view.position), basis)
    axis = np.where((kinds == 1)[:, None], last - first, 0.0)
    turned = [_turn(table[:, 10 + 3 * n : 13 + 3 * n], basis) for n in range(3)]
    centres = np.stack([(first * a).sum(axis=1) for a in turned], axis=1)
    return Packed(
        instance=np.array([number for number, _ in placed], dtype=np.intp),
        surfaces=tuple(part.surface for _, part in placed),
        first=_columns(first),
        axis=_columns(axis),
        radius=table[:, 6].astype(np.float32),
        half=_columns(table[:, 7:10]),
        rotation=(_columns(turned[0]), _columns(turned[1]), _columns(turned[2])),
        local_centre=_columns(centres),
        rectangles=_rectangles(view, kinds, first, axis, table[:, 6], table[:, 7:10], turned),
        spheres=np.flatnonzero(kinds == 0),
        capsules=np.flatnonzero(kinds == 1),
        boxes=np.flatnonzero(kinds == 2),
    )


def _turn(points: NDArray[np.float64], basis: NDArray[np.float64]) -> NDArray[np.float64]:
    # Written without matmul: the sums of a BLAS differ between builds.
    return np.asarray((points[:, None, :] * basis).sum(axis=2))


def _columns(values: NDArray[np.float64]) -> Triple:
    x, y, z = values.T.astype(np.float32)
    return x, y, z


def _rectangles(
    view: View,
    kinds: Ints,
    first: NDArray[np.float64],
    axis: NDArray[np.float64],
    radius: NDArray[np.float64],
    half: NDArray[np.float64],
    turned: list[NDArray[np.float64]],
) -> Ints:
    """Bound each primitive on the image; one that reaches behind the camera gets all of it."""
    low = np.full((len(kinds), 2), np.inf)
    high = np.full((len(kinds), 2), -np.inf)
    nearest = np.full(len(kinds), np.inf)
    round_ = kinds < 2
    for centre in (first, first + axis):
        x, z = centre[:, :2], centre[:, 2:]
        r = radius[:, None]
        flat = np.maximum(z * z - r * r, 1e-6)
        spread = r * np.sqrt(np.maximum(x * x + flat, 0.0))
        low = np.where(round_[:, None], np.minimum(low, (x * z - spread) / flat), low)
        high = np.where(round_[:, None], np.maximum(high, (x * z + spread) / flat), high)
        nearest = np.where(round_, np.minimum(nearest, centre[:, 2] - radius), nearest)
    for signs in np.ndindex(2, 2, 2):
        offset = [(2 * s - 1) * half[:, n : n + 1] * turned[n] for n, s in enumerate(signs)]
        corner = first + offset[0] + offset[1] + offset[2]
        spot = corner[:, :2] / np.maximum(corner[:, 2:], 1e-6)
        low = np.where(round_[:, None], low, np.minimum(low, spot))
        high = np.where(round_[:, None], high, np.maximum(high, spot))
        nearest = np.where(round_, nearest, np.minimum(nearest, corner[:, 2]))
    size = np.array([view.width, view.height])
    start = np.floor(low * view.focal + 0.5 * size - 0.5)
    stop = np.ceil(high * view.focal + 0.5 * size + 0.5)
    behind = (nearest < NEAR)[:, None]
    start = np.where(behind, 0, np.clip(start, 0, size))
    stop = np.where(behind, size, np.clip(stop, 0, size))
    stop = np.maximum(stop, start)
    return np.concatenate([start, stop], axis=1).astype(np.intp)
