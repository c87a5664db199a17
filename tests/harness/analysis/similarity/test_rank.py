"""Effective rank and uniformity against closed forms and slow definitions."""

from __future__ import annotations

import math

import pytest
import torch

from harness.analysis.similarity.rank import effective_rank, uniformity


def test_rank_of_equal_directions_is_their_number() -> None:
    eye = torch.eye(5)
    assert effective_rank(torch.cat([eye, -eye])) == pytest.approx(5, abs=1e-9)
    assert effective_rank(torch.cat([eye, -eye]) * 3 + 100) == pytest.approx(5, abs=1e-4)


def test_rank_of_known_singular_values() -> None:
    values = torch.tensor([[3.0, 0], [-3, 0], [0, 1], [0, -1]])
    shares = (0.75, 0.25)
    entropy = -sum(p * math.log(p) for p in shares)
    assert effective_rank(values) == pytest.approx(math.exp(entropy), abs=1e-9)


def test_rank_of_a_line_is_one_and_of_a_point_nothing() -> None:
    line = torch.outer(torch.arange(6.0), torch.tensor([1.0, 2, -1]))
    assert effective_rank(line) == pytest.approx(1, abs=1e-6)
    assert effective_rank(torch.ones(6, 3)) == 0


def test_uniformity_is_the_definition_in_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    features = torch.randn(9, 4, generator=torch.Generator().manual_seed(0)).double()
    points = features / features.norm(dim=1, keepdim=True)
    pairs = [(i, j) for i in range(9) for j in range(9) if i != j]
    mean = sum(math.exp(-2 * float((points[i] - points[j]).square().sum())) for i, j in pairs)
    expected = math.log(mean / len(pairs))
    assert uniformity(features) == pytest.approx(expected, abs=1e-12)
    monkeypatch.setattr("harness.analysis.similarity.rank._ROWS", 2)
    assert uniformity(features) == pytest.approx(expected, abs=1e-12)


def test_uniformity_of_opposite_points() -> None:
    assert uniformity(torch.tensor([[2.0, 0], [-1, 0]])) == pytest.approx(-8, abs=1e-12)
