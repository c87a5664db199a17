"""The one description of a scene from which image and annotations follow.

World frame: x right, y up, z away from the default camera, in metres; the floor is y = 0.
"""

from dataclasses import dataclass
from typing import Literal

Vector = tuple[float, float, float]
Colour = tuple[float, float, float]
Pattern = Literal["plain", "gradient", "checks", "stripes", "wood", "noise"]


@dataclass(frozen=True, slots=True)
class Surface:
    """A procedural texture: two colours in [0, 1], mixed by a pattern of period `scale` metres."""

    pattern: Pattern
    colour: Colour
    second: Colour
    scale: float
    angle: float = 0.0
    phase: float = 0.0


@dataclass(frozen=True, slots=True)
class Sphere:
    centre: Vector
    radius: float


@dataclass(frozen=True, slots=True)
class Capsule:
    """All points within `radius` of the segment from `start` to `end`."""

    start: Vector
    end: Vector
    radius: float


@dataclass(frozen=True, slots=True)
class Box:
    """A box with half extents `half` along its orthonormal `axes`."""

    centre: Vector
    half: Vector
    axes: tuple[Vector, Vector, Vector]


Shape = Sphere | Capsule | Box


@dataclass(frozen=True, slots=True)
class Part:
    name: str
    shape: Shape
    surface: Surface


@dataclass(frozen=True, slots=True)
class Figure:
    """A person: 17 joints in COCO order, the limb radius at each, and the parts around them."""

    joints: tuple[Vector, ...]
    radii: tuple[float, ...]
    parts: tuple[Part, ...]
    ground: tuple[float, float]
    spread: float


@dataclass(frozen=True, slots=True)
class WorldObject:
    """An object of a class; `mark` names the small part that tells fine classes apart, or is ''."""

    category: str
    mark: str
    parts: tuple[Part, ...]
    ground: tuple[float, float]
    spread: float


@dataclass(frozen=True, slots=True)
class Occluder:
    """Something that hides others and is not annotated itself."""

    parts: tuple[Part, ...]
    ground: tuple[float, float]
    spread: float


@dataclass(frozen=True, slots=True)
class Camera:
    """A pinhole camera: `yaw` turns right, `pitch` down (radians); `focal` is in image heights."""

    position: Vector
    yaw: float
    pitch: float
    focal: float


@dataclass(frozen=True, slots=True)
class Light:
    """A distant light: `direction` points towards it and has length 1."""

    direction: Vector
    ambient: float
    strength: float


@dataclass(frozen=True, slots=True)
class Room:
    """An axis-parallel room with the floor at y = 0, seen from inside.

    `lower` and `upper` are its corners; surfaces: floor, ceiling, left, right, front, back.
    """

    lower: Vector
    upper: Vector
    surfaces: tuple[Surface, Surface, Surface, Surface, Surface, Surface]


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything there is. Instance ids count figures, then objects, then occluders, from 1.

    `label` is the class of an object-centred view, `target` the instance id followed in a video.
    """

    camera: Camera
    light: Light
    room: Room
    figures: tuple[Figure, ...] = ()
    objects: tuple[WorldObject, ...] = ()
    occluders: tuple[Occluder, ...] = ()
    label: int | None = None
    target: int | None = None

    @property
    def instances(self) -> tuple[Figure | WorldObject | Occluder, ...]:
        return self.figures + self.objects + self.occluders
