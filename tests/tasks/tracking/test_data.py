"""What an item is, and what it depends on."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from harness.engine.held_out import HeldOut
from tasks.contract import DataError, Handle, Term
from tasks.model import TaskModel
from tasks.tracking import data
from tasks.tracking.data import TrackingDataset
from tasks.tracking.sequences import Frames, Sequence, Source
from tests.tasks.tracking.standing_in import Noise, recipe, sequence, source, with_boxes

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from tasks.contract import Loss, Row, Split
    from tasks.tracking.recipe import TrackingData

NAN = float("nan")
SETS = (
    (source("many", [12, 9, 1, 7, 6, 8, 5, 11], 1), 2.0),
    (source("static", [1] * 6, 2), 1.0),
)
HELD = source("held", [6, 5, 4], 3)
TEST = source("test", [6, 5, 4, 3], 4)


@pytest.fixture(autouse=True)
def opened(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What is opened, by split; a test may put another source in."""
    there: dict[str, Any] = {"training": SETS, "selection": HELD, "test": TEST}

    def open_source(_: TrackingData, split: Split) -> Source:
        found = there[split]
        if isinstance(found, Exception):
            raise found
        assert isinstance(found, Source)
        return found

    def open_training_sets(_: TrackingData) -> Any:
        if isinstance(there["training"], Exception):
            raise there["training"]
        return there["training"]

    monkeypatch.setattr(data, "open_source", open_source)
    monkeypatch.setattr(data, "open_training_sets", open_training_sets)
    return there


def rng(*seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return a.keys() == b.keys() and all((a[key] == b[key]).all() for key in a)


class Lit(Frames):
    """A white target on black, in whole pixels of its box."""

    def __init__(self, boxes: NDArray[np.float64]) -> None:
        self.boxes = boxes

    def __len__(self) -> int:
        return len(self.boxes)

    def read(self, frame: int) -> NDArray[np.uint8]:
        x, y, w, h = self.boxes[frame].astype(int)
        image = np.zeros((60, 80, 3), np.uint8)
        image[y : y + h, x : x + w] = 255
        return image

    def name(self, frame: int) -> str:
        return str(frame)


def test_a_pair_shows_its_target_where_its_box_says(opened: dict[str, Any]) -> None:
    boxes = np.array([[20.0, 10, 12, 20], [30, 20, 9, 14], [15, 25, 25, 10], [40, 8, 8, 8]])
    opened["training"] = ((Source("lit", [Sequence("a", Lit(boxes), boxes)], "d", "l"), 1.0),)
    dataset = TrackingDataset(recipe(), "training")
    for index in range(30):
        for generator in (None, rng(index)):
            item = dataset.item(index, generator)
            assert item["template"].shape == (3, 32, 24) and item["template"].dtype == np.uint8
            assert item["image"].shape == (3, 64, 48) and item["image"].dtype == np.uint8
            assert item["image"].flags.c_contiguous
            box = item["box"]
            assert box.shape == (4,) and box.dtype == np.float32
            assert (box >= 0.5).all() and (box <= [47.5, 63.5, 47.5, 63.5]).all()
            image = item["image"].mean(0)
            lit = image > (image.min() + image.max()) / 2
            rows, columns = np.flatnonzero(lit.any(1)), np.flatnonzero(lit.any(0))
            shown = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
            # Half a pixel where an edge falls within one, half a pixel for the clipping.
            assert np.abs(box - shown).max() <= 1.0
            if generator is None:
                middle = (box[:2] + box[2:]) / 2
                assert middle == pytest.approx([24, 32], abs=1e-4)
            template = item["template"].mean(0)
            bright = template > (template.min() + template.max()) / 2
            down, across = np.argwhere(bright).mean(0) + 0.5
            assert (across, down) == pytest.approx((12, 16), abs=0.5)


def test_items_depend_on_index_and_generator_alone() -> None:
    dataset = TrackingDataset(recipe(), "training")
    copied = pickle.loads(pickle.dumps(dataset))
    assert len(dataset) == dataset.info.count == 40
    for index in (0, 17, 39):
        one = dataset.item(index, rng(5, index))
        dataset.item(3, rng(9))
        np.random.seed(0)  # noqa: NPY002
        torch.manual_seed(0)
        assert same(one, copied.item(index, rng(5, index)))
        assert not same(one, dataset.item(index, rng(6, index)))
        assert same(dataset.item(index, None), copied.item(index, None))
    plain = [dataset.item(index, None)["image"].tobytes() for index in range(40)]
    assert len(set(plain)) > 20


class _Visits(Dataset[dict[str, Any]]):
    def __init__(self, dataset: TrackingDataset) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.dataset.item(index, rng(4, 0, index))


def test_items_are_the_same_whatever_the_workers() -> None:
    visits = _Visits(TrackingDataset(recipe(data={"pairs": 8}), "training"))
    few, many = (list(DataLoader(visits, batch_size=4, num_workers=workers)) for workers in (0, 2))
    for a, b in zip(few, many, strict=True):
        assert a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


@pytest.mark.parametrize("split", ["selection", "test"])
def test_evaluation_follows_every_sequence_from_its_first_box(split: Split) -> None:
    dataset = TrackingDataset(recipe(), split)
    given = (HELD if split == "selection" else TEST).sequences
    assert len(dataset) == dataset.info.count == len(given) == len(dataset.sequences)
    for index, wanted in enumerate(given):
        item = dataset.item(index, None)
        assert item.keys() == {"frames", "name", "first"}
        assert isinstance(item["frames"], Handle) and item["frames"].value is wanted.frames
        assert isinstance(item["name"], Handle) and item["name"].value == wanted.name
        assert item["first"].dtype == np.float64 and (item["first"] == wanted.boxes[0]).all()
    assert not dataset.fixed
    assert dataset.view["size"] == [64, 48] and dataset.view["crop"]["search_factor"] == 4.0


def test_permuted_pairs_keep_their_images_and_get_boxes_of_others() -> None:
    dataset = TrackingDataset(recipe(), "training")
    permuted, again, other = (dataset.permuted(seed) for seed in (1, 1, 2))
    areas = []
    for index in range(300):
        a, b = (each.item(index % 40, rng(index)) for each in (dataset, permuted))
        assert (a["image"] == b["image"]).all() and (a["template"] == b["template"]).all()
        assert (a["box"] != b["box"]).any()
        areas.append([np.prod(item["box"][2:] - item["box"][:2]) for item in (a, b)])
    # Nothing is left of the pair, and labels are distributed as they were.
    (own, exchanged), count = np.array(areas).T, len(areas)
    assert abs(np.corrcoef(own, exchanged)[0, 1]) < 4 / np.sqrt(count)
    error = np.sqrt((own.var() + exchanged.var()) / count)
    assert abs(own.mean() - exchanged.mean()) < 4 * error
    for generator in (None, 7):
        drawn = [
            each.item(3, None if generator is None else rng(generator))["box"]
            for each in (permuted, again, other)
        ]
        assert (drawn[0] == drawn[1]).all() and (drawn[0] != drawn[2]).any()
    plain = {dataset.item(k, None)["box"].tobytes() for k in range(40)}
    still = permuted.item(3, None)["box"]
    assert (still[:2] + still[2:]) / 2 == pytest.approx([24, 32], abs=1e-4)
    assert permuted.item(3, None)["box"].tobytes() != dataset.item(3, None)["box"].tobytes()
    assert len(plain) > 20


def test_a_part_has_sequences_of_each_set_and_lies_in_a_larger_one() -> None:
    whole = TrackingDataset(recipe(), "training")
    half, quarter = (whole.fraction(share, 0) for share in (0.5, 0.25))
    names = [[each.name for each in part.sequences] for part in (whole, half, quarter)]
    assert [len(each) for each in names] == [14, 4 + 3, 2 + 2]
    assert set(names[2]) < set(names[1]) < set(names[0])
    assert len(half) == len(whole) == 40
    assert len({part.info.sha256 for part in (whole, half, quarter)}) == 3
    assert half.info.facts["sequences"] == 7
    drawn = {half.pairs.draw(rng(k))[:2] for k in range(400)}
    assert len(drawn) == 7
    assert {half.pools[p].source.sequences[s].name for p, s in drawn} == set(names[1])


def test_only_the_first_sequences_of_each_set() -> None:
    limited = recipe(data={"limit": 2})
    training = TrackingDataset(limited, "training")
    wanted = ["many-0", "many-1", "static-0", "static-1"]
    assert [each.name for each in training.sequences] == wanted and len(training) == 40
    test = TrackingDataset(limited, "test")
    assert len(test) == 2 and test.info.facts["sequences"] == 2
    for split in ("training", "test"):
        whole = TrackingDataset(recipe(), split)
        assert whole.info.sha256 != TrackingDataset(limited, split).info.sha256


def test_what_a_data_set_says_of_itself(opened: dict[str, Any]) -> None:
    nothing = with_boxes(sequence("n", 2, 0), {0: [NAN] * 4, 1: [NAN] * 4})
    many = replace(
        SETS[0][0],
        sequences=[*SETS[0][0].sequences, nothing],
        skipped={"no list": 2},
        notes=("odd",),
        licence="CC BY",
    )
    opened["training"] = ((many, 2.0), (replace(SETS[1][0], skipped={"no list": 1}), 1.0))
    info = TrackingDataset(recipe(), "training").info
    assert info.skipped == {"no list": 3, "no usable box": 1}
    assert info.licence == "CC BY; made up" and info.split == "training" and not info.model
    facts = dict(info.facts)
    assert facts.pop("sets") == [
        {"name": "many", "weight": 2.0, "sequences": 9, "frames": 61, "frames_without_box": 2},
        {"name": "static", "weight": 1.0, "sequences": 6, "frames": 6, "frames_without_box": 0},
    ]
    assert facts == {"sequences": 15, "frames": 67, "frames_without_box": 2, "notes": ["odd"]}
    opened["training"] = ((many, 1.0), (replace(SETS[1][0], skipped={"no list": 1}), 1.0))
    assert TrackingDataset(recipe(), "training").info.sha256 != info.sha256


def test_pairs_whose_box_is_beyond_the_image_are_drawn_again(opened: dict[str, Any]) -> None:
    boxes = {0: [90.0, 5, 9, 9], 2: [5.0, 70, 9, 9]}
    given = with_boxes(sequence("beyond", 5, 0), boxes)
    opened["training"] = ((Source("s", [given], "d", "l"), 1.0),)
    dataset = TrackingDataset(recipe(augmentation={"grey": 0.0}), "training")
    for index in range(40):
        dataset.item(index, rng(index))
    opened["training"] = ((Source("s", [replace(given, boxes=given.boxes + 80)], "d", "l"), 1.0),)
    with pytest.raises(DataError, match=r"`beyond`: of 20 pairs .* 0000000\d.jpg: mend the boxes"):
        TrackingDataset(recipe(), "training").item(0, None)


@pytest.mark.parametrize("box", [[NAN] * 4, [5, 5, 0, 9], [5, 5, 9, -2], [5, float("inf"), 9, 9]])
def test_a_sequence_that_begins_without_a_box_is_refused(
    opened: dict[str, Any], box: list[float]
) -> None:
    broken = with_boxes(sequence("broken", 3, 0), {0: box})
    opened["test"] = replace(TEST, sequences=[*TEST.sequences, broken])
    with pytest.raises(DataError, match=r"`broken` cannot be followed: its first box, of frame 0+"):
        TrackingDataset(recipe(), "test")
    TrackingDataset(recipe(data={"limit": 4}), "test")


def test_held_out_pairs_are_of_their_sequence_and_always_the_same(opened: dict[str, Any]) -> None:
    dataset = TrackingDataset(recipe(), "selection")
    plain = TrackingDataset(recipe(crop={"scale_jitter": 0, "shift_jitter": 0}), "selection")
    for index in range(3):
        one = dataset.held_out(index)
        assert {key: value.shape for key, value in one.items()} == {
            "template": (3, 32, 24),
            "image": (3, 64, 48),
            "box": (4,),
        }
        assert same(one, pickle.loads(pickle.dumps(dataset)).held_out(index))
        assert (one["box"] != plain.held_out(index)["box"]).any()
        alone = replace(HELD, sequences=[HELD.sequences[index]] * 3)
        opened["selection"] = alone
        assert same(one, TrackingDataset(recipe(), "selection").held_out(index))
    hidden = replace(HELD.sequences[1], absent=np.ones(5, bool))
    opened["selection"] = replace(HELD, sequences=[HELD.sequences[0], hidden, HELD.sequences[2]])
    dataset = TrackingDataset(recipe(), "selection")
    dataset.held_out(2)
    with pytest.raises(DataError, match=r"`held-1` has no usable box.*leave `dynamics.points` out"):
        dataset.held_out(1)


def test_the_loss_of_held_out_samples_is_taken_of_pairs() -> None:
    class Sizes(TaskModel):
        def loss(self, batch: dict[str, Any]) -> Loss:
            assert batch["image"].shape[1:] == (3, 64, 48) and len(batch["template"]) in (1, 2)
            area = (batch["box"][:, 2:] - batch["box"][:, :2]).prod(1)
            return {"area": Term(area.sum(), torch.tensor(len(area)))}

        def predict(self, batch: dict[str, Any]) -> list[Row]:
            raise NotImplementedError

    given, dataset = recipe(dynamics={"points": 2}), TrackingDataset(recipe(), "selection")
    found = HeldOut(dataset, given, 4).measure(Sizes(), torch.device("cpu"))
    boxes = [dataset.held_out(k)["box"] for k in range(3)]
    wanted = np.mean([np.prod(box[2:] - box[:2]) for box in boxes])
    assert found == {"loss": pytest.approx(wanted, rel=1e-6)}


def test_a_model_that_trains_nothing_needs_no_training_split(opened: dict[str, Any]) -> None:
    opened["training"] = opened["selection"] = DataError("there is none")
    given = recipe(model={"type": "correlation"}, protocol="frozen")
    sets = {split: TrackingDataset(given, split) for split in ("training", "selection", "test")}
    assert {len(each) for each in sets.values()} == {4}
    sets["test"].item(0, None)
    uses: list[Callable[[TrackingDataset], object]] = [
        lambda each: each.item(0, None),
        lambda each: each.held_out(0),
        lambda each: each.fraction(0.5, 0),
    ]
    for split in ("training", "selection"):
        assert "not opened" in sets[split].info.facts["unused"] and sets[split].unused
        for use in uses:
            with pytest.raises(DataError, match="trains nothing"):
                use(sets[split])
    with pytest.raises(DataError, match="there is none"):
        TrackingDataset(recipe(), "training")


def test_an_image_of_another_size_in_mid_sequence_is_no_trouble(opened: dict[str, Any]) -> None:
    class Changing(Noise):
        def read(self, frame: int) -> NDArray[np.uint8]:
            return Noise(9, 0, (40 + frame, 50 + 2 * frame)).read(frame)

    given = replace(sequence("changing", 9, 0), frames=Changing(9, 0))
    opened["training"] = ((Source("s", [given], "d", "l"), 1.0),)
    dataset = TrackingDataset(recipe(), "training")
    assert {dataset.item(k, rng(k))["image"].shape for k in range(20)} == {(3, 64, 48)}
