"""Pairs of frames: shares of sets, gaps, and no frame without a usable box."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tasks.contract import DataError
from tasks.tracking.pairs import Pair, Pairs, Pool
from tasks.tracking.sequences import Source
from tests.tasks.tracking.standing_in import sequence, source, with_boxes

NAN = float("nan")


def drawn(pairs: Pairs, count: int, seed: int = 0) -> list[Pair]:
    rng = np.random.default_rng(seed)
    return [pairs.draw(rng) for _ in range(count)]


def test_sets_are_drawn_by_weight_and_their_sequences_uniformly() -> None:
    # The weights are no function of the sets' sizes, nor the sequences' shares of their lengths.
    pools = (
        Pool(source("small", [3, 50]), 3.0),
        Pool(source("large", [10] * 20), 1.0),
        Pool(source("static", [1] * 5), 0.5),
    )
    found = np.array(drawn(Pairs(pools, 4), 9000))
    shares = np.bincount(found[:, 0]) / len(found)
    wanted = np.array([3.0, 1.0, 0.5]) / 4.5
    assert (np.abs(shares - wanted) < 4 * np.sqrt(wanted * (1 - wanted) / 9000)).all()
    for number, count in ((0, 2), (1, 20), (2, 5)):
        of_set = found[found[:, 0] == number][:, 1]
        each = np.bincount(of_set, minlength=count) / len(of_set)
        error = np.sqrt((1 / count) * (1 - 1 / count) / len(of_set))
        assert np.abs(each - 1 / count).max() < 4.5 * error


def test_search_frames_are_uniform_within_the_gap_and_never_the_template() -> None:
    pairs = Pairs((Pool(source("one", [30])),), 4)
    found = np.array(drawn(pairs, 20_000))
    template, search = found[:, 2], found[:, 3]
    gaps = search - template
    assert set(np.abs(gaps).tolist()) == {1, 2, 3, 4}
    assert set(template.tolist()) == set(range(30))
    inner = gaps[(template >= 4) & (template < 26)]
    shares = np.unique_counts(inner).counts / len(inner)
    assert np.abs(shares - 1 / 8).max() < 4.5 * np.sqrt(1 / 8 * 7 / 8 / len(inner))
    assert set(gaps[template == 0].tolist()) == {1, 2, 3, 4}
    assert set(gaps[template == 29].tolist()) == {-1, -2, -3, -4}


def test_a_gap_is_of_frames_and_not_of_usable_ones() -> None:
    away = {k: [NAN] * 4 for k in range(2, 10)}
    pairs = Pairs((Pool(Source("s", [with_boxes(sequence("a", 12, 0), away)], "", "")),), 3)
    found = {(p.template, p.search) for p in drawn(pairs, 300)}
    assert found == {(0, 1), (1, 0), (10, 11), (11, 10)}


def test_frames_without_a_usable_box_are_never_drawn() -> None:
    rows: dict[int, list[float]] = {
        1: [NAN] * 4,
        2: [5, 5, 0, 9],
        3: [5, 5, 9, -1],
        4: [-20, 5, 20, 9],
        5: [5, -30, 9, 29],
    }
    rows |= {6: [5, 5, float("inf"), 9], 7: [-5, -5, 9, 9]}
    plain = sequence("flagged", 12, 1)
    absent, cover, visible = np.zeros(12, bool), np.full(12, 8), np.ones(12, bool)
    absent[8], cover[9], visible[10] = True, 0, False
    given = with_boxes(plain, rows, absent=absent, cover=cover, visible=visible)
    pool = Pool(Source("s", [sequence("before", 3, 2), given, sequence("after", 4, 3)], "", ""))
    found = drawn(Pairs((pool,), 12), 2000)
    seen = {frame for p in found if p.sequence == 1 for frame in (p.template, p.search)}
    assert seen == {0, 7, 11}
    assert pool.total == 19 and len(pool.frames) == 10
    others: dict[int, set[int]] = {p.sequence: set() for p in found}
    for p in found:
        others[p.sequence] |= {p.template, p.search}
    assert others[0] == set(range(3)) and others[2] == set(range(4))


def test_static_images_and_lonely_frames_are_their_own_partners() -> None:
    lonely = with_boxes(sequence("lonely", 5, 0), {k: [NAN] * 4 for k in (0, 1, 3, 4)})
    pairs = Pairs((Pool(Source("s", [sequence("static", 1, 1), lonely], "", "")),), 9)
    assert set(drawn(pairs, 100)) == {Pair(0, 0, 0, 0), Pair(0, 1, 2, 2)}


def test_sequences_without_a_usable_frame_are_left_out_and_counted() -> None:
    nothing = with_boxes(sequence("n", 2, 0), {0: [NAN] * 4, 1: [NAN] * 4})
    pool = Pool(Source("s", [nothing, sequence("a", 3, 1), nothing, sequence("b", 3, 2)], "", ""))
    assert pool.rows.tolist() == [1, 3] and pool.without == 2
    assert {p.sequence for p in drawn(Pairs((pool,), 2), 200)} == {1, 3}
    with pytest.raises(DataError, match="`empty` has no sequence with a usable box"):
        Pairs((pool, Pool(replace(pool.source, name="empty", sequences=[nothing]))), 2)


def test_parts_and_limits_keep_each_sequences_frames() -> None:
    given = source("s", [4, 7, 2, 9])
    pool = Pool(given)
    part = pool.part(np.array([False, True, False, True]))
    assert part.rows.tolist() == [1, 3] and part.total == 16
    assert part.usable(0).tolist() == list(range(7)) and part.usable(1).tolist() == list(range(9))
    assert Pool(given, limit=2).rows.tolist() == [0, 1]
    assert Pool(given, limit=9).rows.tolist() == [0, 1, 2, 3]


def test_many_sequences_are_looked_at_in_parts_without_a_seam() -> None:
    given = source("s", [2, 3])
    long = Source("long", [given.sequences[k % 2] for k in range(9000)], "", "")
    pool = Pool(long)
    assert pool.total == 4500 * 5
    for row in (0, 4095, 4096, 8191, 8192, 8999):
        assert pool.usable(row).tolist() == list(range(2 + row % 2))
