"""McNemar's exact test."""

from __future__ import annotations

import pytest
from scipy import stats

from results.mcnemar import McNemar, mcnemar


def columns(both: int, a_only: int, b_only: int, neither: int) -> tuple[list[int], list[int]]:
    counts = (both, a_only, b_only, neither)
    rights = ((1, 1), (1, 0), (0, 1), (0, 0))
    pairs = [right for right, count in zip(rights, counts, strict=True) for _ in range(count)]
    return [a for a, _ in pairs], [b for _, b in pairs]


@pytest.mark.parametrize(
    "table",
    [(50, 9, 2, 30), (50, 2, 9, 30), (5, 1, 0, 5), (5, 6, 6, 5), (0, 40, 25, 0), (1, 30, 0, 1)],
)
def test_p_is_that_of_scipys_binomial_test(table: tuple[int, int, int, int]) -> None:
    found = mcnemar(*columns(*table))
    _, a_only, b_only, _ = table
    expected = stats.binomtest(a_only, a_only + b_only, 0.5).pvalue
    assert found.p == pytest.approx(expected, rel=1e-12)
    assert (found.a_only, found.b_only, found.n) == (a_only, b_only, sum(table))
    assert found.differ == (a_only + b_only) / sum(table)


def test_by_hand() -> None:
    # Of 6 images 0 and 6: 2 / 2^6. Of 5, 1 and 4: 2 (1 + 5) / 2^5.
    assert mcnemar(*columns(3, 6, 0, 1)).p == pytest.approx(2 / 64)
    assert mcnemar(*columns(3, 1, 4, 1)).p == pytest.approx(12 / 32)


def test_where_they_never_differ_there_is_no_evidence() -> None:
    assert mcnemar(*columns(7, 0, 0, 3)) == McNemar(0, 0, 10, 1.0)


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [([], [], "at least one"), ([1], [1, 0], "as many"), ([0.5], [1], "1 for right")],
)
def test_other_input_is_refused(a: list[float], b: list[float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        mcnemar(a, b)
