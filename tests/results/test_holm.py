"""Holm's correction against values computed by hand."""

from __future__ import annotations

import pytest

from results.holm import holm


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        # 4 x 0.01; 3 x 0.02 = 0.06; 2 x 0.03 stays 0.06; 1 x 0.04 is raised to 0.06.
        ([0.04, 0.01, 0.03, 0.02], [0.06, 0.04, 0.06, 0.06]),
        ([0.01, 0.03, 0.2], [0.03, 0.06, 0.2]),
        ([0.9, 0.5, 0.4], [1.0, 1.0, 1.0]),
        ([0.03], [0.03]),
        ([0.02, 0.02], [0.04, 0.04]),
        ([], []),
    ],
)
def test_adjusted_values(given: list[float], expected: list[float]) -> None:
    assert holm(given) == pytest.approx(expected)


def test_what_is_no_p_value_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        holm([0.1, 1.2])
