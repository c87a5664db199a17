"""Articulated figures: 17 COCO joints, limbs as capsules, clothes, a face.

In the figure's own frame x is its left, y up and z where it faces.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from tasks.microworld.scene import Capsule, Colour, Figure, Part, Sphere, Surface, Vector
from tasks.microworld.surfaces import blend, hsv, part_surface, plain, similar

JOINTS = (
    "nose",
    "left_eye",
    "right_eye",
    "left_ear",
    "right_ear",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
)

_SKINS: tuple[Colour, ...] = (
    (0.96, 0.80, 0.69),
    (0.88, 0.68, 0.53),
    (0.72, 0.51, 0.37),
    (0.55, 0.37, 0.26),
    (0.40, 0.27, 0.20),
)
_HAIRS: tuple[Colour, ...] = (
    (0.10, 0.08, 0.07),
    (0.30, 0.18, 0.10),
    (0.62, 0.45, 0.20),
    (0.55, 0.22, 0.10),
    (0.60, 0.60, 0.60),
)


@dataclass(frozen=True, slots=True)
class Body:
    """What stays of a person while it moves; lengths in metres."""

    height: float
    build: float
    skin: Surface
    hair: Surface
    shirt: Surface
    trousers: Surface
    shoes: Surface
    long_sleeves: bool
    long_trousers: bool


@dataclass(frozen=True, slots=True)
class Limb:
    """Angles in radians: away from the body, forward, and the bend of the middle joint."""

    aside: float
    forward: float
    bend: float
    towards: Vector = (0.0, 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Pose:
    """Angles of a pose in radians; arms and legs are (left, right)."""

    lean_side: float
    lean_forward: float
    head_yaw: float
    head_pitch: float
    arms: tuple[Limb, Limb]
    legs: tuple[Limb, Limb]


def draw_body(rng: np.random.Generator) -> Body:
    """Draw size, build and clothes."""
    skin = _SKINS[rng.integers(len(_SKINS))]
    return Body(
        height=rng.uniform(1.5, 1.9),
        build=rng.uniform(0.9, 1.2),
        skin=plain(skin),
        hair=plain(_HAIRS[rng.integers(len(_HAIRS))]),
        shirt=part_surface(rng, 0.5),
        trousers=part_surface(rng, 0.5),
        shoes=plain(hsv(rng.uniform(), 0.3, rng.uniform(0.1, 0.8))),
        long_sleeves=bool(rng.uniform() < 0.5),
        long_trousers=bool(rng.uniform() < 0.7),
    )


def similar_body(body: Body, rng: np.random.Generator) -> Body:
    """Return a look-alike in slightly other clothes."""
    return replace(
        body,
        height=body.height * rng.uniform(0.95, 1.05),
        shirt=similar(body.shirt, rng),
        trousers=similar(body.trousers, rng),
    )


def draw_pose(rng: np.random.Generator) -> Pose:
    """Draw an upright pose of mild to medium angles."""
    return Pose(
        lean_side=rng.normal(0.0, 0.13),
        lean_forward=rng.normal(0.08, 0.12),
        head_yaw=rng.uniform(-0.35, 0.35),
        head_pitch=rng.normal(0.0, 0.08),
        arms=(_draw_arm(rng, 1.0), _draw_arm(rng, -1.0)),
        legs=_draw_legs(rng),
    )


def walking_pose(pose: Pose, phase: float) -> Pose:
    """Return a pose with the legs and arms of a step at `phase` (radians)."""
    swing = math.sin(phase)
    left, right = pose.arms
    return replace(
        pose,
        arms=(replace(left, forward=-0.4 * swing), replace(right, forward=0.4 * swing)),
        legs=(
            Limb(0.05, 0.45 * swing, 0.25 + 0.25 * max(0.0, -math.cos(phase))),
            Limb(0.05, -0.45 * swing, 0.25 + 0.25 * max(0.0, math.cos(phase))),
        ),
    )


def _draw_arm(rng: np.random.Generator, side: float) -> Limb:
    raised = rng.uniform() < 0.35
    aside = rng.uniform(1.2, 2.5) if raised else rng.uniform(0.1, 1.2)
    goals = ((0.0, 0.2, 1.0), (side * 0.4, 1.0, 0.3), (-side, 0.1, 0.5))
    return Limb(
        aside=aside,
        forward=rng.uniform(-0.3, 0.7),
        bend=rng.uniform(0.05, 1.8),
        towards=goals[1 if raised else rng.integers(3)],
    )


def _draw_legs(rng: np.random.Generator) -> tuple[Limb, Limb]:
    """One in four figures bends both knees."""
    squat = rng.uniform(0.4, 1.0) if rng.uniform() < 0.25 else 0.0
    left, right = (
        Limb(
            aside=rng.uniform(0.0, 0.5),
            forward=(forward := squat + rng.uniform(-0.3, 0.5)),
            bend=max(0.0, 1.4 * forward) + rng.uniform(0.0, 0.5),
        )
        for _ in range(2)
    )
    return left, right


def make_figure(body: Body, pose: Pose, position: tuple[float, float], yaw: float) -> Figure:
    """Build a figure on the floor at `position` (x, z), facing -z turned by `yaw` radians."""
    own = _joints(body, pose)
    foot = min(own["left_ankle"][1], own["right_ankle"][1]) - 0.045 * body.height
    cos, sin = math.cos(yaw), math.sin(yaw)
    x0, z0 = position

    def place(p: np.ndarray) -> Vector:
        x, y, z = float(p[0]), float(p[1]) - foot, -float(p[2])
        return x0 + x * cos - z * sin, y, z0 + x * sin + z * cos

    world = {name: place(p) for name, p in own.items()}
    r = body.height * body.build
    radii = [0.02] * 5 + [0.048] * 2 + [0.032] * 2 + [0.027] * 2 + [0.07] * 2 + [0.04] * 2
    radii += [0.032] * 2
    return Figure(
        joints=tuple(world[name] for name in JOINTS),
        radii=tuple(r * x for x in radii),
        parts=tuple(_parts(body, world)),
        ground=(world["pelvis"][0], world["pelvis"][2]),
        spread=0.2 * body.height,
    )


def _joints(body: Body, pose: Pose) -> dict[str, np.ndarray]:
    h, b = body.height, body.build
    lean = _turn(pose.lean_forward, pose.lean_side)
    points = {"pelvis": np.array([0.0, 0.52 * h, 0.0])}
    pelvis = points["pelvis"]
    points["chest"] = pelvis + lean @ np.array([0.0, 0.26 * h, 0.0])
    points["neck"] = pelvis + lean @ np.array([0.0, 0.335 * h, 0.0])
    points["head"] = pelvis + lean @ np.array([0.0, 0.415 * h, 0.01 * h])
    for name, side, arm, leg in (
        ("left", 1.0, pose.arms[0], pose.legs[0]),
        ("right", -1.0, pose.arms[1], pose.legs[1]),
    ):
        shoulder = pelvis + lean @ np.array([side * 0.11 * h * b, 0.285 * h, 0.0])
        hip = pelvis + np.array([side * 0.055 * h * b, -0.01 * h, 0.0])
        points[f"{name}_shoulder"], points[f"{name}_hip"] = shoulder, hip
        upper = _direction(side, arm)
        points[f"{name}_elbow"] = elbow = shoulder + 0.17 * h * upper
        points[f"{name}_wrist"] = elbow + 0.155 * h * _bent(upper, arm.bend, arm.towards)
        thigh = _direction(side, leg)
        points[f"{name}_knee"] = knee = hip + 0.235 * h * thigh
        points[f"{name}_ankle"] = knee + 0.23 * h * _bent(thigh, leg.bend, (0.0, 0.0, -1.0))
    _add_face(points, pose, 0.078 * h)
    return points


def _add_face(points: dict[str, np.ndarray], pose: Pose, radius: float) -> None:
    cos, sin = math.cos(pose.head_yaw), math.sin(pose.head_yaw)
    tilt = math.sin(pose.head_pitch)

    def on_head(x: float, y: float, z: float) -> np.ndarray:
        y -= tilt * z
        v = np.array([x * cos + z * sin, y, z * cos - x * sin])
        return points["head"] + radius * v

    points["nose"] = on_head(0.0, -0.12, 1.08)
    points["hair"] = on_head(0.0, 0.3, -0.28)
    for name, side in (("left", 1.0), ("right", -1.0)):
        points[f"{name}_eye"] = on_head(side * 0.42, 0.1, 0.88)
        points[f"{name}_ear"] = on_head(side * 0.98, -0.02, 0.05)


def _turn(forward: float, side: float) -> np.ndarray:
    cf, sf, cs, ss = math.cos(forward), math.sin(forward), math.cos(side), math.sin(side)
    return np.array([[cs, -ss, 0.0], [cf * ss, cf * cs, -sf], [sf * ss, sf * cs, cf]])


def _direction(side: float, limb: Limb) -> np.ndarray:
    ca, sa = math.cos(limb.aside), math.sin(limb.aside)
    cf, sf = math.cos(limb.forward), math.sin(limb.forward)
    return np.array([side * sa, -ca * cf, ca * sf])


def _bent(along: np.ndarray, bend: float, towards: Vector) -> np.ndarray:
    goal = np.array(towards)
    goal = goal - float((goal * along).sum()) * along
    goal = goal / math.sqrt(float((goal * goal).sum()))
    return math.cos(bend) * along + math.sin(bend) * goal


def _parts(body: Body, at: dict[str, Vector]) -> list[Part]:
    h, r = body.height, body.height * body.build
    skin, shirt, trousers = body.skin, body.shirt, body.trousers
    sleeve = shirt if body.long_sleeves else skin
    leg = trousers if body.long_trousers else skin
    eye = plain((0.05, 0.05, 0.08))
    nose = plain(blend(skin.colour, (0.75, 0.25, 0.2), 0.45))
    parts = [
        Part("neck", Capsule(at["chest"], at["neck"], 0.032 * r), skin),
        Part("head", Sphere(at["head"], 0.078 * h), skin),
        Part("hair", Sphere(at["hair"], 0.074 * h), body.hair),
        Part("nose", Sphere(at["nose"], 0.015 * h), nose),
        Part("shoulders", Capsule(at["left_shoulder"], at["right_shoulder"], 0.045 * r), shirt),
        Part("torso", Capsule(at["chest"], at["pelvis"], 0.075 * r), shirt),
        Part("hips", Capsule(at["left_hip"], at["right_hip"], 0.066 * r), trousers),
    ]
    for side in ("left", "right"):

        def limb(
            name: str, start: str, end: str, radius: float, surface: Surface, side: str = side
        ) -> Part:
            ends = at[f"{side}_{start}"], at[f"{side}_{end}"]
            return Part(f"{side}_{name}", Capsule(*ends, radius * r), surface)

        ankle = at[f"{side}_ankle"]
        toe = (ankle[0] + _toe(at)[0] * 0.09 * h, 0.03 * h, ankle[2] + _toe(at)[1] * 0.09 * h)
        toe = (toe[0], ankle[1] - 0.015 * h, toe[2])
        parts += [
            limb("flank", "shoulder", "hip", 0.05, shirt),
            limb("upper_arm", "shoulder", "elbow", 0.034, shirt),
            limb("forearm", "elbow", "wrist", 0.028, sleeve),
            limb("thigh", "hip", "knee", 0.05, trousers),
            limb("shin", "knee", "ankle", 0.037, leg),
            Part(f"{side}_hand", Sphere(at[f"{side}_wrist"], 0.034 * r), skin),
            Part(f"{side}_foot", Capsule(ankle, toe, 0.03 * h), body.shoes),
            Part(f"{side}_eye", Sphere(at[f"{side}_eye"], 0.0115 * h), eye),
            Part(f"{side}_ear", Sphere(at[f"{side}_ear"], 0.02 * h), skin),
        ]
    return parts


def _toe(at: dict[str, Vector]) -> tuple[float, float]:
    """Return the direction (x, z) that the body faces: a quarter turn from hip to hip."""
    left, right = at["left_hip"], at["right_hip"]
    x, z = left[0] - right[0], left[2] - right[2]
    length = math.hypot(x, z)
    return z / length, -x / length
