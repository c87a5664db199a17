"""Ridge regression from sums is ridge regression."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from harness.analysis.probing.ridge import Linear, Moments, choose, fit

B, CELLS, C, D = 7, 5, 4, 3


def sample(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(B, CELLS, C, generator=generator, dtype=torch.float64) * 3 + 50
    x = x + torch.arange(CELLS)[None, :, None] * 2.0
    x[..., 3] = 7.0  # A dimension that does not move.
    y = torch.randn(B, CELLS, D, generator=generator, dtype=torch.float64) + x[..., :D]
    known = torch.rand(B, CELLS, generator=generator) < 0.8
    known[:, 4] = False  # A cell of which nothing is known.
    return x, y, known


def slow(strength: float) -> tuple[np.ndarray, np.ndarray]:
    """Weight and biases by least squares: all tokens one below the other, a column a cell, and the
    penalty as rows of their own."""
    x, y, known = (each.numpy() for each in sample())
    places = [(b, c) for b in range(B) for c in range(CELLS) if known[b, c]]
    cells = sorted({c for _, c in places})
    rows = np.array([x[p] for p in places])
    centred = rows.copy()
    for cell in cells:
        of_cell = [k for k, (_, c) in enumerate(places) if c == cell]
        centred[of_cell] -= rows[of_cell].mean(0)
    deviation = centred.std(0)
    moving = deviation > 1e-9
    z = rows[:, moving] / deviation[moving]
    dummies = np.array([[float(c == cell) for cell in cells] for _, c in places])
    penalty = np.sqrt(len(places) * strength) * np.eye(z.shape[1])
    design = np.block([[z, dummies], [penalty, np.zeros((len(penalty), len(cells)))]])
    goal = np.concatenate([[y[p] for p in places], np.zeros((len(penalty), D))])
    found = np.linalg.lstsq(design, goal, rcond=None)[0]
    weight = np.zeros((C, D))
    weight[moving] = found[: z.shape[1]] / deviation[moving, None]
    return weight, found[z.shape[1] :]


def sums(size: int = B, seed: int = 0) -> Moments:
    moments = Moments()
    for start in range(0, B, size):
        moments.add(*(each[start : start + size] for each in sample(seed)))
    return moments


@pytest.mark.parametrize("strength", [1e-6, 1e-3, 0.1, 10.0])
def test_it_is_the_minimiser(strength: float) -> None:
    (found,) = fit(sums(), [strength])
    weight, bias = slow(strength)
    np.testing.assert_allclose(found.weight.numpy(), weight, atol=1e-9)
    np.testing.assert_allclose(found.bias[:4].numpy(), bias, atol=1e-7)
    assert (found.weight[3] == 0).all()


def test_a_cell_without_tokens_has_the_mean_of_all() -> None:
    (found,) = fit(sums(), [0.1])
    x, y, known = sample()
    mean = y[known].mean(0) - x[known].mean(0) @ found.weight
    torch.testing.assert_close(found.bias[4], mean)


def test_the_error_from_sums_is_the_error() -> None:
    (found,) = fit(sums(), [0.1])
    x, y, known = sample(1)
    direct = (y - found(x))[known].square().sum(-1).mean()
    assert found.error(sums(seed=1)) == pytest.approx(float(direct), rel=1e-9)


def test_batches_are_of_no_influence() -> None:
    (one,), (other,) = fit(sums(1), [0.1]), fit(sums(4), [0.1])
    torch.testing.assert_close(one.weight, other.weight, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(one.bias, other.bias, rtol=1e-10, atol=1e-10)


def test_the_selection_split_chooses_and_ties_go_to_the_strongest() -> None:
    candidates = fit(sums(), [0.01, 1.0, 1e6])
    errors = [each.error(sums(seed=1)) for each in candidates]
    assert choose(candidates, sums(seed=1)) is candidates[errors.index(min(errors))]
    assert len(set(errors)) == 3
    twin = [Linear(candidates[0].weight, candidates[0].bias, s) for s in (1.0, 3.0, 2.0)]
    assert choose(twin, sums(seed=1)).strength == 3.0


def test_without_weight_it_is_the_mean_of_each_cell() -> None:
    (found,) = fit(sums(), [1e12])
    x, y, known = sample()
    for cell in range(4):
        told = found(x)[0, cell]
        torch.testing.assert_close(told, y[known[:, cell], cell].mean(0), atol=1e-6, rtol=0)


def test_what_is_not_finite_is_refused() -> None:
    moments = Moments()
    x, y, known = sample()
    x[0, 0, 0] = torch.inf
    moments.add(x, y, torch.ones_like(known))
    with pytest.raises(ValueError, match="not finite"):
        fit(moments)
