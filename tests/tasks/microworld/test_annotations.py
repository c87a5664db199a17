"""Annotations agree with one another and with the description."""

import numpy as np
import pytest

from tasks.microworld import VIDEO_FRAMES, describe, labels_of, render
from tasks.microworld.annotate import MIN_AREA, annotate, visibility_tolerance
from tasks.microworld.objects import COVERED, OBJECT_CLASSES
from tasks.microworld.primitives import view_of
from tasks.microworld.ranges import OBJECT_KINDS, first_index
from tasks.microworld.scene import Figure, Occluder

SIZE = (96, 72)
TRAINING = first_index("training")


@pytest.fixture(scope="module")
def looks():
    """(scene, rendered, annotations) of general scenes."""
    scenes = [describe(0, TRAINING + n, "scene") for n in range(30)]
    rendered = [render(scene, SIZE) for scene in scenes]
    return [(s, r, annotate(s, r)) for s, r in zip(scenes, rendered, strict=True)]


def test_boxes_are_the_bounds_of_the_masks(looks):
    for _, rendered, found in looks:
        for item in found.items:
            mask = rendered.instances == item.instance
            x, y, w, h = item.box
            inside = np.zeros_like(mask)
            inside[y : y + h, x : x + w] = True
            assert not (mask & ~inside).any()
            assert mask[y].any() and mask[y + h - 1].any()
            assert mask[:, x].any() and mask[:, x + w - 1].any()
            assert item.area == mask.sum() >= MIN_AREA


def test_full_boxes_hold_the_visible_ones_and_what_is_hidden(looks):
    shares = []
    for _, rendered, found in looks:
        for item in found.items:
            x, y, w, h = item.box
            fx, fy, fw, fh = item.full_box
            assert fx <= x and fy <= y and x + w <= fx + fw and y + h <= fy + fh
            assert fx + fw <= SIZE[1] and fy + fh <= SIZE[0]
            extent = rendered.extents[item.instance]
            assert not (rendered.instances == item.instance)[~extent].any()
            assert item.visible == item.area / extent.sum()
            shares.append(item.visible)
    # Without occlusion this test would say nothing.
    assert min(shares) < 0.7 and max(shares) == 1.0


def test_parts_belong_to_their_instances(looks):
    for scene, rendered, _ in looks:
        owner = [n for n, one in enumerate(scene.instances, 1) for _ in one.parts]
        solid = rendered.parts >= 0
        assert (np.array(owner)[rendered.parts[solid]] == rendered.instances[solid]).all()
        assert (rendered.instances[~solid] == 0).all()


def test_visibility_is_decided_by_the_depth_map(looks):
    counts = {0: 0, 1: 0, 2: 0}
    for scene, rendered, found in looks:
        view = view_of(scene.camera, *SIZE)
        for item in found.persons:
            figure = scene.instances[item.instance - 1]
            exact = view.project(np.array(figure.joints))
            for (x, y, v), (u, w, z), radius in zip(
                item.keypoints, exact, figure.radii, strict=True
            ):
                counts[v] += 1
                if v == 0:
                    assert (x, y) == (0.0, 0.0)
                    assert not (0 <= u < SIZE[1] - 1 and 0 <= w < SIZE[0] - 1)
                    continue
                # Half a thousandth: stored with three decimals.
                assert abs(x - u) < 6e-4 and abs(y - w) < 6e-4
                row, column = int(np.floor(y + 0.5)), int(np.floor(x + 0.5))
                behind = z - rendered.depth[row, column]
                assert (v == 2) == (behind <= visibility_tolerance(radius))
    assert all(count > 20 for count in counts.values())


def test_a_visible_joint_shows_its_own_figure_and_a_hidden_one_has_something_before_it(looks):
    """A joint lies inside its limb, so that what is seen there is never behind it."""
    own, seen = 0, 0
    for scene, rendered, found in looks:
        for item in found.persons:
            z = view_of(scene.camera, *SIZE).project(
                np.array(scene.instances[item.instance - 1].joints)
            )[:, 2]
            for (x, y, v), depth in zip(item.keypoints, z, strict=True):
                row, column = int(np.floor(y + 0.5)), int(np.floor(x + 0.5))
                if v == 1:
                    assert rendered.depth[row, column] < depth
                elif v == 2:
                    seen += 1
                    own += rendered.instances[row, column] == item.instance
    # A joint thinner than a pixel, or touching something else, may show that instead.
    assert own / seen > 0.98


def test_a_wall_before_a_person_hides_every_joint():
    scene = describe(0, TRAINING, "scene")
    open_view = render(scene, SIZE)
    found = annotate(scene, open_view).persons[0]
    near = type(open_view)(
        open_view.image,
        np.full(SIZE, 0.5, dtype=np.float32),
        open_view.instances,
        open_view.parts,
        open_view.extents,
    )
    hidden = annotate(scene, near).persons[0]
    assert {v for *_, v in found.keypoints} >= {2}
    assert [v > 0 for *_, v in found.keypoints] == [v == 1 for *_, v in hidden.keypoints]


def test_figures_face_the_camera_with_their_left_on_the_right_of_the_image(looks):
    for scene, _, _ in looks:
        joints = np.array(scene.figures[0].joints)
        points = view_of(scene.camera, *SIZE).project(joints)
        assert points[5, 0] > points[6, 0] and points[11, 0] > points[12, 0]


@pytest.mark.parametrize("kind", OBJECT_KINDS)
def test_labels_classes_and_parts_agree(kind):
    names = labels_of(kind)
    assert len(set(names)) == len(names) >= 6
    for number in range(2 * len(names)):
        scene = describe(0, TRAINING + number, kind)
        (thing,) = scene.objects
        label = names[scene.label]
        assert label == (f"{thing.category}/{thing.mark}" if kind == "fine" else thing.category)
        parts = tuple(part.name for part in thing.parts)
        expected = OBJECT_CLASSES[thing.category].part_names
        assert parts == (*expected, "mark") if thing.mark else parts == expected
        found = annotate(scene, render(scene, (128, 128)))
        (item,) = found.objects
        assert (item.category, item.mark, found.label) == (
            thing.category,
            thing.mark,
            scene.label,
        )
        assert item.visible > 0.3


def test_no_two_classes_have_the_same_arrangement():
    for one in OBJECT_CLASSES.values():
        assert len(set(one.part_names)) == len(one.part_names), one.name
    shapes = {tuple(draft.shape for draft in one.build(1.0)) for one in OBJECT_CLASSES.values()}
    assert len(shapes) == len(OBJECT_CLASSES)


def test_fine_classes_differ_in_the_mark_only():
    first = describe(0, TRAINING, "fine")
    by_base = {}
    for number in range(120):
        (thing,) = describe(0, TRAINING + number, "fine").objects
        mark = thing.parts[-1]
        by_base.setdefault(thing.category, {}).setdefault(thing.mark, set()).add(
            (type(mark.shape).__name__, len(thing.parts))
        )
    assert first.label is not None and set(by_base) <= set(COVERED)
    for marks in by_base.values():
        assert len(marks) == 4
        assert all(len(shapes) == 1 for shapes in marks.values())
        assert len({count for shapes in marks.values() for _, count in shapes}) == 1


def test_the_mark_of_a_fine_class_is_seen():
    seen = []
    for number in range(48):
        scene = describe(0, TRAINING + number, "fine")
        rendered = render(scene, (128, 128))
        seen.append(int((rendered.parts == len(scene.objects[0].parts) - 1).sum()))
    assert np.quantile(seen, 0.05) > 25


def test_videos_start_with_their_target_and_hide_it_at_times():
    visible, sizes = [], []
    for number in range(12):
        for frame in (0, 6, 12, 18, VIDEO_FRAMES - 1):
            scene = describe(0, TRAINING + number, "video", frame)
            assert scene.target == 1 and len(scene.figures) + len(scene.objects) >= 2
            one = scene.instances[0]
            rival = scene.instances[1]
            if not isinstance(one, Figure):
                assert rival.category == one.category
            item = annotate(scene, render(scene, (128, 128))).target_item
            if frame == 0:
                assert item is not None and item.visible > 0.6
            visible.append(0.0 if item is None else item.visible)
            sizes.append(0 if item is None else item.full_box[3])
    assert np.mean(np.array(visible) < 0.5) > 0.03
    assert max(sizes) > 1.5 * np.median([s for s in sizes if s])


def test_frames_of_a_video_belong_together():
    first, later = (describe(0, TRAINING, "video", frame) for frame in (0, 9))
    assert first.room == later.room and first.light == later.light
    assert first.camera != later.camera
    for a, b in zip(first.instances, later.instances, strict=True):
        assert [p.surface for p in a.parts] == [p.surface for p in b.parts]
        if isinstance(a, Occluder):
            assert a == b


def test_what_hardly_shows_is_not_annotated(looks):
    dropped = 0
    for scene, rendered, found in looks:
        listed = {item.instance for item in found.items}
        for number, one in enumerate(scene.instances, 1):
            area = int((rendered.instances == number).sum())
            expected = area >= MIN_AREA and not isinstance(one, Occluder)
            assert (number in listed) == expected
            dropped += not expected
    assert dropped
