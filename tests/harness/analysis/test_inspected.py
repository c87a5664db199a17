"""Rows as figures and words take them."""

import numpy as np
import pytest

from harness.analysis.inspected import Inspected, borders
from harness.analysis.rows import Found, row

ROWS = (
    row("attention.distance", 3.0, 5, error=0.1, block=1, stage=1, head=0),
    row("attention.distance", 1.0, 5, error=0.2, block=0, head=1),
    row("attention.distance", 2.0, 5, block=0, head=0),
    row("attention.distance", 1.5, 5, error=0.3, block=0),
    row("attention.distance", 3.0, 5, error=0.1, block=1, stage=1),
    row("attention.kl", 0.5, 5, block=0, head=0, other_head=1),
    row("attention.kl", 0.4, 5, error=0.1, block=0),
)


def inspected(rows, by_image=None, kind="attention"):
    return Inspected("a", {kind: Found(tuple(rows), by_image or {})})


def test_rows_of_heads_stand_in_the_order_of_blocks_and_heads():
    found = inspected(ROWS).by_head("attention.distance")
    assert found.blocks.tolist() == [0, 0, 1]
    assert found.heads.tolist() == [0, 1, 0]
    assert found.values.tolist() == [2.0, 1.0, 3.0]
    assert np.isnan(found.errors[0])
    assert found.errors[1:].tolist() == [0.2, 0.1]


def test_rows_of_blocks_have_neither_heads_nor_pairs():
    found = inspected(ROWS)
    assert found.by_block("attention.distance").values.tolist() == [1.5, 3.0]
    assert found.by_block("attention.kl").values.tolist() == [0.4]
    assert not len(found.by_head("attention.kl"))


def test_a_measure_that_was_not_taken_has_no_rows():
    for measure in ("attention.nmi", "probe.knn"):
        assert not len(inspected(ROWS).by_block(measure))
        assert inspected(ROWS).by_image(measure) is None


def test_images_are_means_over_the_heads_that_a_block_has():
    values = np.array([[[1.0, 3.0], [5.0, np.nan]], [[2.0, 4.0], [7.0, np.nan]]])
    found = inspected(ROWS, {"attention.distance": values})
    assert found.by_image("attention.distance").tolist() == [[2.0, 5.0], [3.0, 7.0]]


def test_images_are_of_the_blocks_that_have_rows():
    values = np.array([[0.1, np.nan], [0.7, np.nan]])
    found = inspected(ROWS, {"attention.kl": values})
    assert found.by_image("attention.kl").tolist() == [[0.1], [0.7]]


def test_images_of_other_blocks_are_refused():
    found = inspected(ROWS, {"attention.distance": np.zeros((4, 3, 2))})
    with pytest.raises(ValueError, match="2 blocks have rows, but 3 blocks have values"):
        found.by_image("attention.distance")


def test_pairs_of_one_encoder_are_symmetric_others_are_not():
    rows = [
        row(measure, 0.5, 9, block=0, other_block=1)
        for measure in ("similarity.cka.pooled", "similarity.between.pooled")
    ]
    found = inspected(rows, kind="similarity")
    within = found.pairs("similarity.cka.pooled")
    assert within.values[0, 1] == within.values[1, 0] == 0.5
    assert np.isnan(within.values.diagonal()).all()
    assert found.pairs("similarity.between.pooled").values.tolist() == [[0.5]]


def test_spectra_are_sorted_by_frequency():
    rows = [
        row("spectrum.amplitude", -f, 9, block=b, frequency=f) for b in (1, 0) for f in (1, 0.5)
    ]
    first, second = inspected(rows, kind="spectrum").spectra("spectrum.amplitude")
    assert (first.block, second.block) == (0, 1)
    assert first.frequencies.tolist() == [0.5, 1]
    assert first.values.tolist() == [-0.5, -1]


def test_borders_lie_between_the_last_block_of_a_stage_and_the_first_of_the_next():
    assert borders(np.array([0, 0, 1, 2, 3]), np.array([0, 0, 0, 1, 2])) == [1.5, 2.5]
    assert borders(np.array([0, 1]), np.array([-1, -1])) == []
