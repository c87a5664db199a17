"""Nearest neighbours against DINO's and DINOv2's votes, and against a plain search."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from tasks.classification.probes import knn
from tasks.classification.probes.contract import FLOOR, Features
from tasks.classification.probes.neighbours import Bank
from tasks.classification.probes.settings import KnnRecipe
from tasks.contract import RecipeError

from .blobs import Counted, accuracy, blobs, generator, matches, several, shuffled

FOLDER = Path(__file__).parents[3] / "fixtures/recipes/evaluation_procedures"
CHUNKS = [(1, 50), (7, 3), (64, 64), (512, 8192)]


def recipe(k: int = 20, temperature: float = 0.07) -> KnnRecipe:
    return KnnRecipe(k=k, temperature=temperature)


def fitted(
    training: tuple[Features, Tensor], given: KnnRecipe, classes: int = 4, **rest: Any
) -> knn.Neighbours:
    ways = {"selection": None, "selection_labels": None, "figure": accuracy} | rest
    return knn.fit(*training, classes=classes, recipe=given, seed=0, **{"watch": Counted()} | ways)


def search(bank: Bank, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
    parts = list(bank.nearest(queries, k))
    return torch.cat([each[0] for each in parts]), torch.cat([each[1] for each in parts])


def plainly(rows: Tensor, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """All similarities in double precision, one pair at a time, sorted."""
    units = [functional.normalize(each.double(), dim=1) for each in (queries, rows)]
    similarities = torch.stack([(units[1] * query).sum(1) for query in units[0]])
    values, numbers = torch.sort(similarities, dim=1, descending=True, stable=True)
    return values[:, :k], numbers[:, :k]


@pytest.fixture(scope="module")
def published() -> dict[str, Tensor]:
    return load_file(FOLDER / "knn.safetensors") | load_file(FOLDER / "knn_dinov2.safetensors")


@pytest.mark.parametrize("k", [10, 20, 100])
def test_published_votes_and_predictions(published: dict[str, Tensor], k: int) -> None:
    bank = Bank(published["train_features"])
    similarities, rows = search(bank, published["test_features"], k)
    votes = knn.log_votes(similarities, published["train_labels"][rows], 7, 0.07).exp()
    # The published votes are sums in single precision of exponentials of rounded similarities.
    expected = published[f"votes_k{k}"].double()
    assert torch.equal(votes == 0, expected == 0)
    assert torch.allclose(votes, expected, rtol=2e-6, atol=0)
    training = ({"pooled": published["train_features"]}, published["train_labels"])
    scores = fitted(training, recipe(k), classes=7).scores({"pooled": published["test_features"]})
    reference = json.loads((FOLDER / "knn.json").read_text())[f"k={k}"]
    assert scores.argmax(1).tolist() == reference["predictions"]
    assert 100 * accuracy(scores, published["test_labels"]) == pytest.approx(reference["top1"])


@pytest.mark.parametrize("k", [10, 20, 100])
def test_dinov2_shares_of_the_votes(published: dict[str, Tensor], k: int) -> None:
    """DINOv2 takes shares of the votes of the largest k that is asked for, here 100."""
    bank, labels = Bank(published["train_features"]), published["train_labels"]
    similarities, rows = search(bank, published["test_features"], 100)
    votes = knn.log_votes(similarities[:, :k], labels[rows[:, :k]], 7, 0.07)
    shares = (votes - (similarities / 0.07).logsumexp(1, keepdim=True)).exp()
    expected = published[f"probas_k{k}"].double()
    assert torch.allclose(shares, expected, rtol=2e-6, atol=0)


def collapsed(samples: int, width: int) -> Tensor:
    """Features of an encoder that says nearly the same of all images: cosines within 1e-5."""
    drawn = torch.randn(samples, width, generator=generator(3))
    return torch.ones(width) + 1e-3 * drawn


def repeated(samples: int, width: int) -> Tensor:
    """Few different rows, each many times: more equals at the k-th place than are proposed."""
    return torch.randn(4, width, generator=generator(4))[torch.arange(samples) % 4]


def hollow(samples: int, width: int) -> Tensor:
    """Every other row of zeros, which are at a right angle to all."""
    drawn = torch.randn(samples, width, generator=generator(5))
    return drawn * (torch.arange(samples) % 2).unsqueeze(1)


def ordinary(samples: int, width: int) -> Tensor:
    return torch.randn(samples, width, generator=generator(6))


@pytest.mark.parametrize("chunk", CHUNKS)
@pytest.mark.parametrize("made", [ordinary, collapsed, repeated, hollow])
def test_the_search_is_exact_in_chunks_of_any_size(made: Any, chunk: tuple[int, int]) -> None:
    rows, queries = made(150, 33), made(20, 33) + 0.01 * ordinary(20, 33)
    values, numbers = search(Bank(rows, chunk), queries, 20)
    expected, places = plainly(rows, queries, 20)
    assert torch.allclose(values, expected, atol=1e-14, rtol=0)
    whole, again = search(Bank(rows), queries, 20)
    assert torch.equal(values, whole) and torch.equal(numbers, again)
    if made in (ordinary, collapsed):
        assert torch.equal(numbers, places)


def test_of_equally_near_rows_the_lowest_numbers_are_taken() -> None:
    rows = repeated(200, 16)
    for chunk in CHUNKS:
        _, numbers = search(Bank(rows, chunk), rows[:4], 60)
        for query in range(4):
            equal = torch.arange(200)[torch.arange(200) % 4 == query]
            assert torch.equal(numbers[query, :50], equal)


@pytest.mark.parametrize("precision", ["high", "medium"])
def test_the_search_is_exact_where_products_are_rough(precision: str) -> None:
    rows, queries = collapsed(300, 33), collapsed(310, 33)[300:]
    expected = search(Bank(rows), queries, 5)
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision(precision)
        found = search(Bank(rows), queries, 5)
    finally:
        torch.set_float32_matmul_precision(before)
    assert all(torch.equal(*each) for each in zip(found, expected, strict=True))


def test_a_bare_product_is_not_enough() -> None:
    """The control of the test above: single precision alone takes other neighbours."""
    rows = collapsed(300, 33)
    units = functional.normalize(rows, dim=1)
    _, numbers = search(Bank(rows), rows[:40], 20)
    assert not torch.equal((units[:40] @ units.T).topk(20).indices, numbers)


def test_as_many_neighbours_as_rows() -> None:
    rows = ordinary(25, 8)
    values, numbers = search(Bank(rows), rows[:3], 25)
    assert torch.equal(numbers.sort(1).values, torch.arange(25).expand(3, -1))
    assert (values.diff(dim=1) <= 0).all()


def test_scores_are_shares_with_a_floor() -> None:
    training = blobs(60)
    scores = fitted(training, recipe(5)).scores(training[0])
    assert scores.dtype == torch.float32 and scores.isfinite().all()
    assert torch.allclose(scores.exp().sum(1), torch.ones(60), atol=1e-6)
    assert float(scores.min()) == pytest.approx(FLOOR) and float(scores.max()) <= 0


def test_a_small_temperature_overflows_nowhere() -> None:
    (features, labels), (other, _) = blobs(60, noise=1.0), blobs(40, seed=1, noise=1.0)
    cold = fitted((features, labels), recipe(20, 1e-6)).scores(other)
    nearest = fitted((features, labels), recipe(1)).scores(other)
    assert cold.isfinite().all() and torch.equal(cold.argmax(1), nearest.argmax(1))


def test_several_labels_have_shares_of_their_own() -> None:
    (features, labels), (other, truth) = blobs(80), blobs(40, seed=1)
    trained = (features, several(labels, 4, difficult=True))
    scores = fitted(trained, recipe(5)).scores(other)
    assert scores.isfinite().all()
    assert matches(scores, several(truth, 4)) > 0.99
    sums = scores.exp().sum(1)
    assert torch.allclose(sums, torch.full((40,), 2.0), atol=1e-5)


def test_features_are_chosen_on_the_selection() -> None:
    (features, labels), (other, truth) = blobs(80), blobs(40, seed=1)
    training = {"noise": ordinary(80, 6), "pooled": features["pooled"], "twin": features["pooled"]}
    selection = {"noise": ordinary(40, 6), "pooled": other["pooled"], "twin": other["pooled"]}
    watch = Counted()
    rest = {"selection": selection, "selection_labels": truth, "watch": watch}
    choice = fitted((training, labels), recipe(5), **rest).choice
    assert choice["feature"] == "pooled" and choice["figure"] == 1.0
    assert [each["feature"] for each in choice["candidates"]] == ["noise", "pooled", "twin"]
    assert json.loads(json.dumps(choice)) == choice
    assert watch.steps == knn.steps(3) == 3


def test_controls() -> None:
    training, selection = blobs(300), blobs(300, seed=1)
    assert accuracy(fitted(training, recipe()).scores(selection[0]), selection[1]) == 1.0
    noise = [{"pooled": torch.randn(300, 12, generator=generator(seed))} for seed in (1, 2)]
    permuted = fitted((noise[0], shuffled(training[1])), recipe()).scores(noise[1])
    assert abs(accuracy(permuted, selection[1]) - 0.25) < 4 * (0.25 * 0.75 / 300) ** 0.5


def test_more_neighbours_than_samples_are_refused() -> None:
    with pytest.raises(RecipeError, match="k is 61, but there are only 60 training samples"):
        fitted(blobs(60), recipe(61))


def test_several_features_without_a_selection_are_refused() -> None:
    features, labels = blobs(60)
    two = {"a": features["pooled"], "b": features["pooled"]}
    with pytest.raises(RecipeError, match="2 candidates, but no selection split"):
        fitted((two, labels), recipe())
