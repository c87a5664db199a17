"""Words follow the numbers."""

from pathlib import Path

import numpy as np
import pytest

from harness.analysis.inspected import Inspected
from harness.analysis.ordering import difference, estimate, real
from harness.analysis.page import page
from harness.analysis.rows import Found, row
from tests.harness.analysis.synthetic import encoder, of_blocks, pair

BLOCKS = 6


def measured(name, values, kept=True):
    """An encoder whose attention distances are values (n,blocks)."""
    rows = of_blocks("attention.distance", values, [0] * values.shape[1])
    return Inspected(
        name, {"attention": Found(tuple(rows), {"attention.distance": values} if kept else {})}
    )


def around(level, seed, spread=1.0, n=30):
    return level + np.random.default_rng(seed).normal(0, spread, (n, BLOCKS))


def said(*inspected, figures=()):
    return page(inspected, figures)


def test_the_higher_is_above_the_lower():
    rising = around(10, 1) + np.arange(BLOCKS)
    text = said(measured("low", rising), measured("high", around(50, 2) - np.arange(BLOCKS)))
    assert "- All blocks: `high` is above `low` (35." in text
    assert "- Early third: `high` is above `low`" in text
    assert "- Late third: `high` is above `low`" in text
    late = next(line for line in text.splitlines() if line.startswith("- Late against early"))
    assert "`low` is higher by" in late
    assert "`high` is lower by" in late
    assert text.index("| `high` |") < text.index("| `low` |")


def test_what_errors_do_not_support_is_not_claimed():
    text = said(measured("a", around(10, 1)), measured("b", around(10, 2)))
    assert text.count("cannot be told apart: `") == 3
    assert "- Late against early third: cannot be told apart in `a` (" in text
    assert "is above" not in text
    assert "is higher" not in text


def test_images_that_vary_alike_are_compared_by_pairs():
    images = np.random.default_rng(3).normal(0, 20, (30, 1))
    a, b = around(10, 1, 0.1) + images, around(11, 2, 0.1) + images
    assert "`b` is above `a`" in said(measured("a", a), measured("b", b))
    apart = said(measured("a", a, kept=False), measured("b", b, kept=False))
    assert "All blocks: cannot be told apart: `b` and `a` (" in apart


def test_the_error_of_a_difference_is_that_of_the_images_differences():
    a, b = around(10, 1), around(11, 2)
    one, two = (estimate(measured(n, v), "attention.distance") for n, v in (("a", a), ("b", b)))
    apart = b.mean(1) - a.mean(1)
    found = difference(("a", one), ("b", two))
    assert (found.higher, found.lower) == ("b", "a")
    assert found.value == pytest.approx(apart.mean())
    assert found.error == pytest.approx(apart.std(ddof=1) / np.sqrt(30))


def test_without_values_of_images_errors_are_bounds():
    values = around(10, 1)
    exact = estimate(measured("a", values), "attention.distance")
    bound = estimate(measured("a", values, kept=False), "attention.distance")
    assert bound.value == pytest.approx(exact.value)
    assert bound.error > exact.error


def test_chance_calls_hardly_any_page_wrong():
    wrong = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        estimates = [
            (str(n), estimate(measured(str(n), rng.normal(0, 1, (20, 3))), "attention.distance"))
            for n in range(4)
        ]
        pairs = [difference(a, b) for k, a in enumerate(estimates) for b in estimates[:k]]
        wrong += any(real(pairs))
    # 5 % of 40 are 2; 7 or more have a chance below 0.5 %.
    assert wrong < 7


def test_values_without_errors_have_no_order():
    rows = [[row("similarity.effective_rank", v, 9, block=b) for b in range(3)] for v in (1.0, 9.0)]
    text = said(
        *(Inspected(n, {"similarity": Found(tuple(r))}) for n, r in zip("ab", rows, strict=True))
    )
    assert "No standard error is known, so no order is told." in text
    assert "is above" not in text


def test_images_that_do_not_average_to_the_row_give_no_error():
    values = around(10, 1)
    rows = [row("attention.offset", 0.1, 30, block=b) for b in range(BLOCKS)]
    one = Inspected("a", {"attention": Found(tuple(rows), {"attention.offset": values})})
    assert estimate(one, "attention.offset").error is None


def test_fewer_than_three_blocks_have_no_thirds():
    text = said(*(measured(n, around(10, k)[:, :2]) for k, n in enumerate("ab")))
    assert "Early third:" not in text
    assert "All blocks:" in text


def test_one_image_says_nothing():
    values = np.full((1, 3), 4.0)
    rows = [row("attention.distance", 4.0, 1, block=b) for b in range(3)]
    one, two = (
        Inspected(n, {"attention": Found(tuple(rows), {"attention.distance": values})})
        for n in "ab"
    )
    assert "No standard error is known" in said(one, two)


def test_the_best_block_of_a_probe_is_the_lowest_where_lower_is_better():
    scores = {"probe.knn": (0.2, 0.9, 0.5), "probe.depth": (0.2, 0.9, 0.5)}
    rows = [
        row(measure, value, 50, error=0.001, block=b)
        for measure, values in scores.items()
        for b, value in enumerate(values)
    ]
    text = said(Inspected("a", {"probe": Found((*rows, row("probe.knn_constant", 0.1, 50)))}))
    knn, depth = text.split("## Depth probe")
    assert "| `a` | 1 | 0.9000 ± 0.0010 | 0.5000 ± 0.0010 | 0.1 |" in knn
    assert "| `a` | 0 | 0.2000 ± 0.0010 | 0.5000 ± 0.0010 |" in depth
    assert "`a` is worse by 0.4000" in knn
    assert "`a` is worse by 0.3000" in depth


def test_figures_are_linked_by_name_each_once():
    paths = [
        Path("out/attention-distance.png"),
        Path("out/attention-distance-2.svg"),
        Path("o/x.png"),
    ]
    text = said(measured("a", around(1, 1)), figures=paths)
    for path in paths:
        assert text.count(f"[{path.name}]({path.name})") == 1
    assert (
        text.index("attention-distance-2.svg")
        < text.index("## Other figures")
        < text.index("x.png")
    )


def test_names_do_not_break_the_table():
    text = said(measured("a|b`c", around(1, 1)))
    line = next(line for line in text.splitlines() if line.startswith("| `a"))
    assert line.count("|") == 5
    assert line.count("`") == 2


def test_notes_and_numbers_of_images_are_told():
    one = measured("a", around(1, 1))
    noted = Inspected("a", {"attention": Found(one.found["attention"].rows, {}, ("Mass: 0.2.",))})
    text = said(noted)
    assert "Images: 30." in text
    assert "- `a`: Mass: 0.2." in text
    assert "## What this does not say" in text


def test_everything_together_has_every_section():
    first, second = encoder("a", 1), encoder("b", 2, (2, 2))
    text = said(first, second, pair(first, second, (12, 4)))
    assert text.count("\n## ") >= 20
    assert "| `a` and `b` |" in text
