"""What the pictures of a run show: counts, orders, and what they leave out."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tasks import figures
from tasks.classification.gallery import bars, confusion, several, sheets, single, tally
from tasks.classification.gallery.names import Names
from tasks.contract import DataError, Gallery

NAMES = ("ant", "bee", "cat", "dog")
# Of each sample the true class, the named one and its probability.
SAMPLES = [
    (0, 0, 0.9),
    (0, 1, 0.5),
    (0, 1, 0.7),
    (1, 1, 0.6),
    (1, 0, 0.7),
    (2, 1, 0.99),
    (2, 2, 0.8),
]


class Images:
    """A data set of plain grey images that says which of them were asked for."""

    def __init__(self, labels: Any, names: tuple[str, ...]) -> None:
        self.labels = np.array(labels)
        self.opened = SimpleNamespace(class_names=names)
        self.asked: list[int] = []

    def item(self, index: int, rng: None) -> dict[str, Any]:
        self.asked.append(index)
        return {"image": np.full((3, 8, 8), 128, np.uint8)}


def rows_of(samples: list[tuple[int, int, float]]) -> list[dict[str, Any]]:
    return [
        {"sample": k, "classes": [named], "scores": [float(np.log(p))]}
        for k, (_, named, p) in enumerate(samples)
    ]


def counted(samples: list[tuple[int, int, float]], classes: int) -> tally.Tally:
    labels = np.array([true for true, _, _ in samples])
    return tally.tally(rows_of(samples), labels, classes)


def drawn(samples: list[tuple[int, int, float]], names: tuple[str, ...]) -> tuple[Gallery, Images]:
    images: Any = Images([true for true, _, _ in samples], names)
    return single.gallery(rows_of(samples), images, "a run"), images


def test_rows_of_the_matrix_are_true_and_columns_named_classes() -> None:
    expected = [[1, 2, 0, 0], [1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    assert counted(SAMPLES, 4).matrix().tolist() == expected


def test_rows_in_any_order_count_alike_and_missing_ones_are_refused() -> None:
    labels = np.array([true for true, _, _ in SAMPLES])
    rows = rows_of(SAMPLES)
    turned = tally.tally(rows[::-1], labels, 4)
    assert turned.matrix().tolist() == counted(SAMPLES, 4).matrix().tolist()
    with pytest.raises(DataError, match="1 of 7 samples have no prediction"):
        tally.tally(rows[1:], labels, 4)


def test_confusions_are_ordered_by_count_then_by_the_share_of_their_class() -> None:
    pairs = [(p.true, p.named, p.count) for p in counted(SAMPLES, 4).pairs]
    # One each of two bees and of two cats: of equal shares the lower number.
    assert pairs == [(0, 1, 2), (1, 0, 1), (2, 1, 1)]
    more = [*SAMPLES, (1, 1, 0.5), (1, 1, 0.5)]
    pairs = [(p.true, p.named, p.count) for p in counted(more, 4).pairs]
    assert pairs == [(0, 1, 2), (2, 1, 1), (1, 0, 1)]


def test_the_worst_class_is_first_of_equal_ones_the_surer_then_the_lower() -> None:
    assert counted(SAMPLES, 4).ordered() == [0, 1, 2]
    # 3 of 6 cats and 1 of 2 bees are right: six images tell more.
    more = [*SAMPLES, (2, 2, 0.5), (2, 2, 0.5), (2, 0, 0.5), (2, 0, 0.5)]
    assert counted(more, 4).ordered() == [0, 2, 1]


def test_the_surest_mistake_is_first_and_of_equal_ones_the_lower_sample() -> None:
    assert counted(SAMPLES, 4).surest_mistakes() == [5, 2, 4, 1]


def test_intervals_are_wilsons() -> None:
    # 8 of 10: (0.8 + z2/20 +- z sqrt(0.016 + z2/400)) / (1 + z2/10), z2 = 3.8414588.
    assert tally.interval(8, 10) == pytest.approx((0.4901625, 0.9433178), abs=1e-6)
    assert tally.interval(0, 10) == pytest.approx((0.0, 0.2775328), abs=1e-6)
    low, high = tally.interval(10, 10)
    assert (low, high) == pytest.approx((0.7224672, 1.0), abs=1e-6)
    assert high == 1


def test_the_table_has_every_class_in_order() -> None:
    found = counted(SAMPLES, 4)
    lines = single.table(found, Names(NAMES))
    low, high = tally.interval(1, 3)
    assert lines[0] == {
        "number": 0,
        "class": "ant",
        "n": 3,
        "correct": 1,
        "accuracy": 1 / 3,
        "error": pytest.approx(np.std([1, 0, 0], ddof=1) / np.sqrt(3)),
        "low": low,
        "high": high,
        "taken_for": "bee",
        "times": 2,
    }
    empty = dict.fromkeys(("accuracy", "error", "low", "high", "taken_for", "times"))
    assert lines[3] == {"number": 3, "class": "dog", "n": 0, "correct": 0} | empty
    assert [line["correct"] for line in lines] == [1, 1, 1, 0]


def test_a_gallery_has_the_four_pictures_and_says_what_they_leave_out(texts: list[str]) -> None:
    found, images = drawn(SAMPLES, NAMES)
    assert set(found.images) == {"accuracy", "confusion", "worst", "mistakes"}
    # The worst classes' mistakes in the data set's order, then the surest of all.
    assert images.asked == [1, 2, 4, 5, 5, 2, 4, 1]
    assert texts.count("a run") == 4
    said = " ".join(texts)
    assert "Classes without a test image: 1." in said
    assert "4 of 4 mistakes" in said
    assert texts[-12:-9] == ["is cat", "named bee", "probability 99.0 %"]


def test_without_mistakes_there_is_a_note_and_no_picture_of_any() -> None:
    found, _ = drawn([(0, 0, 0.9), (1, 1, 0.9)], NAMES[:2])
    assert set(found.images) == {"accuracy", "confusion"}
    assert found.notes == ("every image is named right: there are no mistakes to draw",)


def test_darker_cells_are_larger_shares_in_black_and_white_too() -> None:
    shares = np.linspace(0, 1, 101)
    from matplotlib import colormaps

    grey = colormaps[figures.SHARES](shares)[:, :3] @ (0.2126, 0.7152, 0.0722)
    assert (np.diff(grey) < 0).all()
    assert grey[0] - grey[-1] > 0.6


def test_letters_stand_out_from_every_cell() -> None:
    from matplotlib import colormaps
    from matplotlib.colors import to_rgb

    for share in np.linspace(0.001, 1, 100):
        back = luminance(colormaps[figures.SHARES](share)[:3])
        front = luminance(to_rgb(confusion.letters(share)))
        # 3 : 1 is what the WCAG ask of large letters, 4.5 of small ones.
        assert (max(back, front) + 0.05) / (min(back, front) + 0.05) > 4


def luminance(colour: Any) -> float:
    """Relative luminance (WCAG 2)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def test_a_matrix_cell_has_the_colour_of_its_share() -> None:
    from matplotlib import colormaps

    found = counted([(0, 0, 0.9), (0, 1, 0.9), (1, 1, 0.9)], 3)
    picture = confusion.confusion(found, Names(NAMES[:3]), "a run")
    assert picture is not None
    counts = {tuple(colour): n for n, colour in picture.getcolors(1 << 20) or []}
    cell = (0.8 * figures.DPI) ** 2
    for share, cells in ((0.5, 2), (1.0, 1)):
        colour = tuple(int(255 * c + 0.5) for c in colormaps[figures.SHARES](share)[:3])
        seen = sum(n for c, n in counts.items() if max(abs(np.subtract(c, colour))) <= 1)
        assert cells * cell * 0.85 < seen < cells * cell * 1.15, share


@pytest.mark.parametrize("classes", [31, 1000, 8142])
def test_of_many_classes_the_confusions_are_listed(classes: int, texts: list[str]) -> None:
    # Class k is taken for its neighbour 1 + k % 3 times, and is right once.
    samples = [(k, k, 0.9) for k in range(classes)]
    samples += [(k, (k + 1) % classes, 0.8) for k in range(classes) for _ in range(1 + k % 3)]
    found, names = counted(samples, classes), Names([f"kind {k}" for k in range(classes)])
    picture = confusion.confusion(found, names, "a run")
    assert picture is not None and max(picture.size) < 2000
    assert (found.pairs[0].true, found.pairs[0].named, found.pairs[0].count) == (2, 3, 3)
    said = " ".join(texts)
    mistakes = len(samples) - classes
    assert f"The 30 most frequent of {classes} confusions" in said
    assert f"of {mistakes} mistakes" in said
    assert f"{classes - 30} confusions, none of more than" in said


def test_of_many_classes_both_ends_are_shown_and_the_rest_is_counted(texts: list[str]) -> None:
    each = [bars.Bar(k, k / 1000, k / 1000, k / 1000, 5) for k in range(1000)]
    names = Names([f"kind {k}" for k in range(1000)])
    picture = bars.bars(each, names, "h", "f", "a run", [])
    assert picture.width < 2000
    assert {"the 40 lowest", "the 40 highest", "all 1000 classes"} <= set(texts)
    assert "920 classes in between are left out" in " ".join(texts)


def test_names_are_set_as_they_are_and_lacking_letters_are_noted(texts: list[str]) -> None:
    odd = ("a$b$", "_x^2", "柴犬", "a\udcff")
    found, _ = drawn([(0, 2, 0.9), (1, 2, 0.8), (2, 0, 0.7), (3, 0, 0.6)], odd)
    assert "named class 2" in texts and "named a$b$" in texts and "is class 3" in texts
    (note,) = found.notes
    assert note.startswith("2 of 4 class names")


def test_lines_below_images_do_not_run_into_each_other() -> None:
    for text in ("W" * 60, "i" * 200, "130.Chestnut_sided_Warbler and more of it"):
        short = figures.shortened(text, sheets.SIDE)
        assert figures.width(short) <= sheets.SIDE
        assert short[0] == text[0] and short[-1] == text[-1] and "…" in short
        assert figures.width(short) > 0.8 * sheets.SIDE


SCORES = np.array([[2.0, 1.0, -1.0], [0.5, 3.0, 3.0], [-2.0, 0.0, 1.0], [1.0, -3.0, 0.2]])
SHOWN = np.array([[1, -1, -1], [-1, 1, 0], [-1, 1, -1], [1, -1, 1]])


def test_wrong_namings_are_neither_shown_nor_difficult_the_highest_score_first() -> None:
    expected = [(0, 1), (2, 2), (1, 0), (0, 2), (2, 0), (3, 1)]
    assert several.wrong_namings(SCORES, SHOWN) == expected


def test_several_labels_have_precisions_and_no_matrix() -> None:
    order = np.argsort(-SCORES, axis=1, kind="stable")
    rows = [
        {"sample": k, "classes": order[k].tolist(), "scores": SCORES[k, order[k]].tolist()}
        for k in range(4)
    ]
    images: Any = Images(SHOWN, ("x", "y", "z"))
    found = several.gallery(rows, images, "a run")
    assert set(found.images) == {"precision", "worst", "mistakes"}
    assert several.NO_MATRIX in found.notes
    lines = found.tables["classes"]
    assert [line["n"] for line in lines] == [2, 2, 1]
    assert [line["difficult"] for line in lines] == [0, 0, 1]
    # x: both are first. y: one is first, at recalls over 0.5 the precision is 2/3. z: 1/3 above
    # recall 0, since what is difficult counts as not shown.
    expected = [1, (6 + 5 * 2 / 3) / 11, (1 + 10 / 3) / 11]
    assert [line["average_precision"] for line in lines] == pytest.approx(expected, abs=1e-12)
