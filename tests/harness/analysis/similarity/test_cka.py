"""CKA against the public codes' outputs, a slow definition and its own properties."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from harness.analysis.similarity.cka import Minibatches, full, gram

FOLDER = Path("tests/fixtures/analysis/cka")
INPUTS = np.load(FOLDER / "inputs.npz")
EXPECTED = np.load(FOLDER / "expected.npz")
CASES = sorted({name.split(".")[0] for name in INPUTS.files})
MINIBATCH = [n for n in EXPECTED.files if ".f64.torch_cka." in n or ".f64.lite." in n]
FULL = [n for n in EXPECTED.files if ".f64.google." in n or ".f64.yuanli2333." in n]


def layers(case: str, network: str, form: str) -> list[Tensor]:
    names = sorted(n for n in INPUTS.files if n.startswith(f"{case}.{network}"))
    values = [INPUTS[name] for name in names]
    if form == "pooled":
        # The reference was given the means in float32.
        values = [v.astype(np.float64).mean(axis=1).astype(np.float32) for v in values]
    return [torch.from_numpy(v).double() for v in values]


def bounds(first: list[Tensor], second: list[Tensor] | None) -> np.ndarray:
    """1e-9, but 1e-8 beside a layer whose mean is 33 times its spread (`offset20`): there the
    reference, which does not centre, keeps fewer digits."""
    sides = [
        np.array([bool(abs(x.mean()) > 10 * x.std()) for x in each])
        for each in (first, first if second is None else second)
    ]
    return np.where(sides[0][:, None] | sides[1], 1e-8, 1e-9)


def minibatches(first: list[Tensor], second: list[Tensor] | None, size: int) -> Minibatches:
    found = Minibatches()
    for start in range(0, len(first[0]), size):
        part = slice(start, start + size)
        mine = [gram(each[part]) for each in first]
        found.add(mine, None if second is None else [gram(each[part]) for each in second])
    return found


@pytest.mark.parametrize("name", MINIBATCH)
def test_minibatches_equal_the_public_codes(name: str) -> None:
    case, form, _, _, batch, pair = name.split(".")
    first = layers(case, "a", form)
    second = layers(case, "b", form) if pair == "ab" else None
    values, _ = minibatches(first, second, int(batch.removeprefix("batch"))).estimate()
    assert (np.abs(values - EXPECTED[name]) < bounds(first, second)).all()


@pytest.mark.parametrize("name", FULL)
def test_all_images_at_once_equal_the_public_codes(name: str) -> None:
    case, form, _, _, kind, pair = name.split(".")
    first = layers(case, "a", form)
    second = layers(case, "b", form) if pair == "ab" else None
    if kind.endswith("debiased"):
        # Equal to minibatches with one of all images (meta.json of the fixture).
        values, _ = minibatches(first, second, len(first[0])).estimate()
    else:
        values = full(first, second).numpy()
    assert (np.abs(values - EXPECTED[name]) < bounds(first, second)).all()


def test_every_stored_case_is_compared() -> None:
    assert {n.split(".")[0] for n in MINIBATCH} == {n.split(".")[0] for n in FULL} == set(CASES)
    stored = [n for n in EXPECTED.files if ".f64." in n]
    assert len(MINIBATCH) + len(FULL) == len(stored)


def hsic(x: Tensor, y: Tensor) -> float:
    """Equation 3 of Nguyen et al., as written."""
    n = len(x)
    k, m = (v.flatten(1) @ v.flatten(1).T for v in (x, y))
    for each in (k, m):
        each.fill_diagonal_(0)
    one = torch.ones(n, dtype=torch.float64)
    product = k @ m
    total = (one @ k @ one) * (one @ m @ one) / ((n - 1) * (n - 2))
    cross = one @ product @ one * 2 / (n - 2)
    return float((torch.trace(product) + total - cross) / (n * (n - 3)))


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_minibatches_equal_the_formula_pair_by_pair() -> None:
    first = [random(12, 5, 3, seed=i) + i for i in range(3)]
    second = [first[0] + random(12, 5, 3, seed=9), random(12, 7, seed=8)]
    values, _ = minibatches(first, second, 6).estimate()
    for i, x in enumerate(first):
        for j, y in enumerate(second):
            parts = [slice(0, 6), slice(6, 12)]
            terms = [sum(hsic(a[p], b[p]) for p in parts) for a, b in ((x, y), (x, x), (y, y))]
            assert values[i, j] == pytest.approx(
                terms[0] / math.sqrt(terms[1] * terms[2]), abs=1e-10
            )


def test_rotation_scale_and_shift_change_nothing_and_a_layer_is_like_itself() -> None:
    x = random(16, 6)
    rotation = torch.linalg.qr(random(6, 6, seed=1))[0]
    y = 3 * x @ rotation + 7
    other = random(16, 4, seed=2)
    values, _ = minibatches([x, y], [x, other], 8).estimate()
    assert values[:, 0] == pytest.approx(1, abs=1e-10)
    assert values[0, 1] == pytest.approx(values[1, 1], abs=1e-10)
    assert full([x], [y])[0, 0].item() == pytest.approx(1, abs=1e-10)


def test_the_minibatch_estimate_of_independent_layers_is_unbiased_and_the_full_one_is_not() -> None:
    drawn = [(random(16, 40, seed=2 * i), random(16, 40, seed=2 * i + 1)) for i in range(200)]
    whole = Minibatches()
    for x, y in drawn:
        whole.add([gram(x)], [gram(y)])
    values, errors = whole.estimate()
    assert errors is not None
    assert abs(values[0, 0]) < 4 * errors[0, 0] < 0.1
    assert float(full([drawn[0][0]], [drawn[0][1]])[0, 0]) > 0.5


def test_the_error_over_minibatches_is_the_spread_of_estimates() -> None:
    def estimate(seed: int) -> tuple[float, float]:
        x = random(400, 8, seed=seed)
        y = x + random(400, 8, seed=seed + 10_000)
        values, errors = minibatches([x], [y], 10).estimate()
        assert errors is not None
        return float(values[0, 0]), float(errors[0, 0])

    found = np.array([estimate(seed) for seed in range(100)])
    assert found[:, 1].mean() == pytest.approx(found[:, 0].std(ddof=1), rel=0.25)


def test_one_minibatch_has_no_error_and_a_constant_layer_no_similarity() -> None:
    constant = torch.ones(8, 3, dtype=torch.float64)
    values, errors = minibatches([random(8, 3), constant], None, 8).estimate()
    assert errors is None
    assert values[0, 0] == pytest.approx(1)
    assert np.isnan(values[1]).all()
