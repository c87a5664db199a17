"""Annotations of a rendered scene."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.microworld.primitives import view_of
from tasks.microworld.render import Rendered
from tasks.microworld.scene import Figure, Occluder, Scene

BoxXYWH = tuple[int, int, int, int]
Keypoints = tuple[tuple[float, float, int], ...]

MIN_AREA = 20
"""Instances with fewer visible pixels are not annotated; a target with fewer is absent."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """One visible person or object.

    instance: its number in the instance map. category: "person" or the name of a covered or novel
    class. mark: the part that tells fine classes apart, or "". box: (x, y, width, height) of the
    visible pixels, in whole pixels. full_box: the same of all its pixels inside the image, hidden
    ones included. area: visible pixels. visible: their share of those that would be seen inside
    the image if nothing stood before it, in (0, 1]. keypoints: of persons, 17 times x, y in pixels
    (pixel centres are whole numbers) and v: 2 visible, 1 hidden but inside the image, 0 outside
    (then x = y = 0).
    """

    instance: int
    category: str
    mark: str
    box: BoxXYWH
    full_box: BoxXYWH
    area: int
    visible: float
    keypoints: Keypoints = ()


@dataclass(frozen=True, slots=True)
class SceneAnnotations:
    """All that is known of one image.

    label: the class of an object view, else None. target: the instance followed in a video, else
    None; it is absent where no item has its number.
    """

    items: tuple[Annotation, ...]
    label: int | None = None
    target: int | None = None

    @property
    def persons(self) -> tuple[Annotation, ...]:
        return tuple(item for item in self.items if item.category == "person")

    @property
    def objects(self) -> tuple[Annotation, ...]:
        return tuple(item for item in self.items if item.category != "person")

    @property
    def target_item(self) -> Annotation | None:
        """The target's annotation; None where it is absent or the image has no target."""
        return next((item for item in self.items if item.instance == self.target), None)


def annotate(scene: Scene, rendered: Rendered) -> SceneAnnotations:
    """Read the annotations of a scene off its rendering."""
    items = []
    for number, one in enumerate(scene.instances, 1):
        if isinstance(one, Occluder):
            continue
        mask = rendered.instances == number
        area = int(np.count_nonzero(mask))
        if area < MIN_AREA:
            continue
        extent = rendered.extents[number]
        items.append(
            Annotation(
                instance=number,
                category="person" if isinstance(one, Figure) else one.category,
                mark="" if isinstance(one, Figure) else one.mark,
                box=box_of(mask),
                full_box=box_of(extent),
                area=area,
                visible=area / int(np.count_nonzero(extent)),
                keypoints=_keypoints(scene, one, rendered.depth) if isinstance(one, Figure) else (),
            )
        )
    return SceneAnnotations(tuple(items), scene.label, scene.target)


def box_of(mask: NDArray[np.bool_]) -> BoxXYWH:
    """Return the bounds (x, y, width, height) of a mask (H, W) that is not empty."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    x, y = int(columns[0]), int(rows[0])
    return x, y, int(columns[-1]) + 1 - x, int(rows[-1]) + 1 - y


def visibility_tolerance(radius: float) -> float:
    """Return how far (m) a visible joint may lie behind the surface of its own limb."""
    return 1.5 * radius + 0.03


def _keypoints(scene: Scene, figure: Figure, depth: NDArray[np.float32]) -> Keypoints:
    height, width = depth.shape
    points = view_of(scene.camera, height, width).project(np.array(figure.joints))
    result: list[tuple[float, float, int]] = []
    for (exact_x, exact_y, z), radius in zip(points.tolist(), figure.radii, strict=True):
        # Rounded first, so that the annotation alone tells which pixel decided.
        x, y = round(exact_x, 3), round(exact_y, 3)
        inside = z > 0 and -0.5 <= x < width - 0.5 and -0.5 <= y < height - 0.5
        if not inside:
            result.append((0.0, 0.0, 0))
            continue
        surface = float(depth[int(np.floor(y + 0.5)), int(np.floor(x + 0.5))])
        seen = z - surface <= visibility_tolerance(radius)
        result.append((x, y, 2 if seen else 1))
    return tuple(result)
