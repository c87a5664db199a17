"""Verdicts from looks inside, on values of known truth; coverage of the intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from harness.analysis.claims import bootstrap
from harness.analysis.claims.deciding import Estimate, Missing
from harness.analysis.claims.inside import of_encoder
from harness.analysis.claims.judging import Trial, judge
from harness.analysis.claims.model import Attention
from harness.analysis.rows import Found
from tests.harness.analysis.claims.stand_ins import attention, claims, evidence, similarity

DISTANCE = "attention.distance_relative"
KL = "attention.kl"


def distance(heads: str = "mean", **more: Any) -> dict[str, Any]:
    return {
        "evidence": "attention",
        "measure": DISTANCE,
        "heads": heads,
        "blocks": "last",
        "of": "mim - supervised",
        "below": 0,
    } | more


def only(test: dict[str, Any], mim: Found, supervised: Found | None) -> Trial:
    looks = {"mim": mim} if supervised is None else {"mim": mim, "supervised": supervised}
    (judged,) = judge(claims(test), evidence(looks))  # type: ignore[arg-type]
    (tested,) = judged.tests
    assert judged.verdict == tested.verdict
    return tested


def blocks(last: Sequence[float], depth: int = 12) -> np.ndarray:
    """(depth, heads): ones, and in the last quarter these heads."""
    means = np.ones((depth, len(last)))
    means[-3:] = last
    return means


def test_local_heads_are_found_local() -> None:
    local, broad = attention(blocks([0.2, 0.9]), DISTANCE), attention(blocks([0.9, 0.9]), DISTANCE)
    found = only(distance(), local, broad)
    assert found.verdict == "holds"
    assert isinstance(found.found, Estimate)
    assert found.found.value == pytest.approx(0.55 - 0.9)
    assert only(distance("min"), local, broad).verdict == "holds"
    assert only(distance("range"), local, broad).verdict == "does not hold"
    assert only(distance(), broad, local).verdict == "does not hold"
    assert only(distance("std", below=None, above=0), local, broad).verdict == "holds"


def test_what_differs_by_less_than_the_noise_is_undecided() -> None:
    rng = np.random.default_rng(0)
    one, two = (Found((), {DISTANCE: rng.gamma(4, 0.25, (64, 12, 4))}) for _ in range(2))
    assert only(distance(), one, two).verdict == "undecided"


def test_pairs_of_images_are_kept_together() -> None:
    """Images differ far more than the encoders; unpaired, 128 of them would not tell."""
    image = np.random.default_rng(0).gamma(1, 1, (128, 1, 1)) * np.ones((128, 4, 3))
    found = only(distance(), Found((), {DISTANCE: image}), Found((), {DISTANCE: image + 0.01}))
    assert found.verdict == "holds"
    assert isinstance(found.found, Estimate)
    assert found.found.low == pytest.approx(-0.01) and found.found.high == pytest.approx(-0.01)


def test_only_the_last_quarter_counts() -> None:
    one, two = (attention(blocks([0.5, 0.7]), DISTANCE) for _ in range(2))
    two.by_image[DISTANCE][:, :9] *= 0.1
    found = only(distance(), one, two).found
    assert isinstance(found, Estimate) and found.value == pytest.approx(0)


def test_a_quotient_of_quarters() -> None:
    kept, lost = np.ones(12), np.ones(12)
    lost[-3:] = 0.1
    mim, supervised = attention(kept, KL), attention(lost, KL)
    quotient = {"evidence": "attention", "measure": KL, "blocks": "last / second"}
    one = only(quotient | {"of": "supervised", "below": 0.5}, mim, supervised)
    both = only(quotient | {"of": "mim / supervised", "above": 2}, mim, supervised)
    assert (one.verdict, both.verdict) == ("holds", "holds")
    assert isinstance(both.found, Estimate) and both.found.value == pytest.approx(10)
    zero = only(quotient | {"of": "mim / supervised", "above": 2}, mim, attention(0 * lost, KL))
    assert isinstance(zero.found, Missing)


def test_blocks_of_fewer_heads_are_filled_up_with_nan() -> None:
    means = blocks([0.2, 0.8, 5.0])
    full = attention(means, DISTANCE)
    full.by_image[DISTANCE][:, :, 2] = np.nan
    test = Attention.model_validate(distance())
    assert of_encoder(test, full.by_image[DISTANCE].mean(axis=0)[None]) == pytest.approx([0.5])
    assert only(distance(), full, attention(means, DISTANCE)).verdict == "holds"
    full.by_image[DISTANCE][0, -1, 0] = np.nan
    found = only(distance(), full, attention(means, DISTANCE)).found
    assert isinstance(found, Missing) and "every image" in found.why


@pytest.mark.parametrize(
    ("looks", "says"),
    [
        (attention(blocks([1.0, 1.0]), DISTANCE, n=63), "63 images, an interval needs 64"),
        (attention(blocks([1.0]), DISTANCE), "blocks of 1 heads have no range"),
        (attention(np.ones((1, 2)), DISTANCE), "1 blocks have no last quarter"),
        (attention(np.ones(12), DISTANCE), "of each image"),
        (Found(()), "of each image"),
        (None, "supervised has no attention"),
    ],
)
def test_what_does_not_serve_is_said(looks: Found | None, says: str) -> None:
    found = only(distance("range"), attention(blocks([1.0, 2.0]), DISTANCE), looks).found
    assert isinstance(found, Missing) and says in found.why


def test_an_encoder_that_is_not_named_is_asked_for() -> None:
    found = only(distance(of="mim - contrastive"), attention(blocks([1.0]), DISTANCE), None).found
    assert found == Missing("no contrastive encoder was named: give one with --contrastive")


@pytest.mark.parametrize(
    ("mim", "supervised", "verdict"),
    [(0.8, 0.5, "holds"), (0.5, 0.8, "does not hold"), (0.61, 0.6, "undecided")],
)
def test_similarity_of_blocks(mim: float, supervised: float, verdict: str) -> None:
    test = {"evidence": "similarity", "measure": "similarity.cka.tokens"}
    found = only(
        test | {"of": "mim - supervised", "above": 0}, similarity(mim), similarity(supervised)
    )
    assert found.verdict == verdict
    assert isinstance(found.found, Estimate)
    assert found.found.value == pytest.approx(mim - supervised)
    # Eight minibatches, 7 degrees of freedom, two errors of 0.01.
    assert found.found.high == pytest.approx(mim - supervised + 2.36462 * 0.01 * 2**0.5, rel=1e-5)


def test_one_minibatch_has_no_error() -> None:
    test = {"evidence": "similarity", "measure": "similarity.cka.pooled", "of": "mim", "above": 0}
    for look in (similarity(0.5, n=63), similarity(0.5, error=None)):
        found = only(test, look, None).found
        assert isinstance(found, Missing) and "--n" in found.why


@pytest.mark.parametrize("heads", ["mean", "min", "range", "std"])
def test_the_interval_covers(heads: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Heads that differ, as they do; how it is where they hardly do: docs/claims.md."""
    monkeypatch.setattr(bootstrap, "RESAMPLES", 250)
    test = Attention.model_validate(distance(heads))
    rng = np.random.default_rng(5)
    truth = rng.uniform(0.3, 1, (2, 4, 6))

    def statistic(means: Sequence[np.ndarray]) -> np.ndarray:
        first, second = (of_encoder(test, each) for each in means)
        return first - second

    expected = float(statistic([each[None] for each in truth])[0])
    covered = []
    for _ in range(100):
        image = rng.gamma(4, 0.25, (128, 1, 1))
        samples = [each * image * rng.gamma(9, 1 / 9, (128, 4, 6)) for each in truth]
        _, low, high = bootstrap.interval(statistic, samples)
        covered.append(low <= expected <= high)
    # 95 % less three standard errors of 100 draws.
    assert np.mean(covered) >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / 100)
