"""Several encoders: pairs are corrected, ranks are given only where they are separated."""

from __future__ import annotations

import pytest

from results import Record, ResultsError
from results.compare import compare
from results.holm import holm
from results.ranking import rank
from tests.results.records import make

NOISE = (0.0, 0.004, -0.004)


def group(name: str, mean: float, spread: float = 1.0, better: str = "higher") -> list[Record]:
    """Three seeds; the sampling error is small."""
    return [
        make(name, seed, mean + spread * noise, 1e-4, better=better)
        for seed, noise in enumerate(NOISE)
    ]


def groups(better: str = "higher") -> dict[str, list[Record]]:
    """The best is apart from two that are tied, and from the worst."""
    return {
        "middle": group("middle", 0.30, better=better),
        "worst": group("worst", 0.10, -1, better=better),
        "best": group("best", 0.50, 0, better=better),
        "other": group("other", 0.302, -1, better=better),
    }


def test_ranks_and_ties() -> None:
    found = rank(groups())
    assert list(found.ranks.items()) == [("best", 1), ("other", 2), ("middle", 2), ("worst", 4)]
    assert found.ties == {"best": (), "other": ("middle",), "middle": ("other",), "worst": ()}
    assert found.closest is not None
    assert (found.closest.a, found.closest.b) == ("middle", "other")
    assert found.closest.outlook is not None and found.closest.outlook.seeds is not None
    assert found.closest.outlook.seeds > 3
    assert [pair.separated for pair in found.pairs].count(False) == 1


def test_the_smaller_the_better_where_the_metric_says_so() -> None:
    found = rank(groups("lower"))
    assert list(found.ranks.items()) == [("worst", 1), ("middle", 2), ("other", 2), ("best", 4)]


def test_the_order_in_which_they_are_named_is_nothing() -> None:
    plain, turned = rank(groups()), rank(dict(reversed(groups().items())))
    assert turned.ranks == plain.ranks
    by_names = {frozenset((p.a, p.b)): (p.p, p.adjusted) for p in plain.pairs}
    for pair in turned.pairs:
        assert (pair.p, pair.adjusted) == pytest.approx(by_names[frozenset((pair.a, pair.b))])


def test_p_values_are_those_of_the_intervals_and_corrected_for_their_number() -> None:
    found = rank(groups())
    given = [pair.p for pair in found.pairs if pair.p is not None]
    assert len(given) == 6
    assert [pair.adjusted for pair in found.pairs] == holm(given)
    for pair in found.pairs:
        assert pair.p is not None
        assert (pair.p < 0.05) == pair.comparison.difference.excludes(0.0)


def test_what_is_separated_alone_may_be_tied_among_many() -> None:
    """p is 0.03 of one pair: with three pairs that is not below 0.05 any more."""
    a, b = group("a", 0.3, 0), group("b", 0.3 - 0.0132, 1)
    (alone,) = rank({"a": a, "b": b}).pairs
    assert alone.p is not None and 0.02 < alone.p < 0.04
    assert alone.separated
    # c lies with b, and is tied with both.
    found = rank({"a": a, "b": b, "c": group("c", 0.3 - 0.012, -1)})
    assert not found.pairs[0].separated
    assert set(found.ranks.values()) == {1}
    ahead = found.pairs[0].outlook
    assert ahead is not None and ahead.seeds is not None and ahead.seeds > 3


def test_one_seed_ranks_nothing() -> None:
    found = rank({name: records[:1] for name, records in groups().items()})
    assert set(found.ranks.values()) == {1}
    for pair in found.pairs:
        assert pair.outlook is not None and "not known from one" in pair.outlook.text


def test_nothing_known_of_the_spread_is_no_evidence() -> None:
    found = rank({name: [make(name, 0, value, None)] for name, value in (("a", 0.9), ("b", 0.1))})
    (pair,) = found.pairs
    assert (pair.p, pair.adjusted, pair.separated) == (None, None, False)


def test_what_cannot_be_compared_is_refused() -> None:
    other = [make("x", seed, steps=50) for seed in range(3)]
    with pytest.raises(ResultsError, match=r"recipe\.train\.steps: 100, 50"):
        rank(groups() | {"x": other})
    with pytest.raises(ResultsError, match=r"`middle` has the seeds \[0, 1, 2\], `y` \[0, 1\]"):
        rank(groups() | {"y": group("y", 0.2)[:2]})


def test_two_encoders_need_no_correction() -> None:
    a, b = group("a", 0.3), group("b", 0.302, -1)
    (pair,) = rank({"a": a, "b": b}).pairs
    assert pair.adjusted == pair.p
    assert pair.comparison == compare(a, b)
