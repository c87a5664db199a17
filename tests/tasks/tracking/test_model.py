"""SwinTrack's network on an encoder: shapes, gradients, templates kept, batches."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tasks.contract import RecipeError
from tasks.tracking.building import build
from tasks.tracking.model import SwinTrackModel
from tests.tasks.tracking.networks import (
    TEMPLATE,
    batch,
    hierarchical,
    images,
    model,
    plain,
    recipe,
)

BOTH = pytest.mark.parametrize("make", [plain, hierarchical])


def seen(count: int = 3) -> tuple[Tensor, Tensor]:
    return images(count, TEMPLATE, seed=4) / 255, images(count) / 255


@torch.no_grad()
@BOTH
def test_shapes(make: Any) -> None:
    built = model(make())
    template, search = seen()
    assert built.template(template).shape == (3, 16, 24)
    response = built.match(built.template(template), search)
    assert response.scores.shape == (3, 8, 8) and response.boxes.shape == (3, 8, 8, 4)
    for x in response:
        assert 0 <= x.min() < x.max() <= 1


@torch.no_grad()
@pytest.mark.parametrize("stride", [4, 8, 16, 32])
def test_the_map_of_a_hierarchical_encoder_is_chosen_by_stride(stride: int) -> None:
    """Through a norm of its own, and a map of its own for each image where widths differ."""
    backbone = hierarchical()
    built = model(backbone, model={"dim": 32, "heads": 2, "stride": stride})
    number = (4, 8, 16, 32).index(stride)
    _, search = seen()
    built.from_search, built.fusion, built.heads = Kept(), Kept(), Kept()
    built.match(torch.zeros(3, 0, 32), search)
    tokens = built.from_search.given[0]
    channels = backbone.feature_info[number].channels
    taken = backbone(search)[number].flatten(2).transpose(1, 2)
    expected = nn.functional.layer_norm(taken, (channels,), built.norm.weight, built.norm.bias)
    torch.testing.assert_close(tokens, expected)
    assert isinstance(built.from_template, nn.Identity if channels == 32 else nn.Linear)


class Kept(nn.Module):
    """Passes its first argument on, and keeps all."""

    def forward(self, *given: Any) -> Any:
        self.given = given
        return given[0]


def test_without_a_map_of_the_stride() -> None:
    words = "has maps of stride 4, 8, 16, 32, not 12: set model.stride to one of them"
    with pytest.raises(RecipeError, match=words):
        model(hierarchical(), model={"stride": 12})
    assert model(plain(), model={"stride": 12}).stride == 16


@torch.no_grad()
def test_a_plain_encoders_map_is_its_normed_one() -> None:
    backbone = plain()
    built = model(backbone)
    _, search = seen()
    built.from_search, built.fusion, built.heads = Kept(), Kept(), Kept()
    built.match(torch.zeros(3, 0, 24), search)
    expected = backbone.encode(search).flatten(2).transpose(1, 2)
    torch.testing.assert_close(built.from_search.given[0], expected)


@BOTH
def test_gradients_reach_all_that_is_trained(make: Any) -> None:
    """And the rest of the encoder asks for none: what comes after the map that is taken."""
    backbone = make()
    built = model(backbone).train()
    total = sum(term.value for term in built.loss(batch()).values())
    assert isinstance(total, Tensor)
    torch.autograd.backward(total)
    for name, parameter in built.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        else:
            assert name.startswith("backbone.encoder."), name
    still = {name for name, p in backbone.named_parameters() if not p.requires_grad}
    if make is plain:
        assert still == backbone.unused_names("encode")
    else:
        assert {name.split(".")[1] for name in still} == {"layers", "norm"}
        assert {name.split(".")[2] for name in still if ".layers." in name} == {"3"}


def test_every_parameter_is_counted_once() -> None:
    """The encoder at the template's size has no parameters of its own."""
    built = model(plain())
    names = [name for name, _ in built.named_parameters(remove_duplicate=False)]
    assert len(names) == len(set(names)) == len(list(built.parameters()))
    assert set(built.head_layer_ids(7).values()) == {7}
    own = {name for name in names if not name.startswith("backbone.")}
    assert set(built.head_layer_ids(7)) == own


@torch.no_grad()
@BOTH
def test_a_template_is_kept(make: Any) -> None:
    """Computed once, it serves any search image."""
    built = model(make())
    template, search = seen()
    kept = built.template(template[:1])
    together = built.match(built.template(template[:1].expand(3, -1, -1, -1)), search)
    for i in range(3):
        alone = built.match(kept, search[i : i + 1])
        for x, y in zip(together, alone, strict=True):
            torch.testing.assert_close(x[i], y[0], rtol=1e-6, atol=1e-6)


@torch.no_grad()
def test_while_weights_stay_positions_are_computed_once() -> None:
    built = model().eval()
    built.initialise(0)
    template, search = seen()
    kept = built.template(template)
    before = built.match(kept, search)
    with built.unchanging():
        for places in (built.fusion.encoder_positions, built.fusion.decoder_positions):
            assert places() is places()
        inside = built.match(kept, search)
    for x, y in zip(before, inside, strict=True):
        assert torch.equal(x, y)
    # Outside, what the weights have become counts.
    built.initialise(1)
    assert not torch.equal(built.match(kept, search).scores, before.scores)


@torch.no_grad()
@BOTH
def test_a_sample_is_the_same_in_any_batch(make: Any) -> None:
    built = model(make())
    template, search = seen(4)
    whole = built.match(built.template(template), search)
    for order in ([2], [3, 0]):
        part = built.match(built.template(template[order]), search[order])
        for x, y in zip(part, whole, strict=True):
            torch.testing.assert_close(x, y[order], rtol=1e-6, atol=1e-6)


@torch.no_grad()
@BOTH
def test_the_template_tells_what_is_searched(make: Any) -> None:
    built = model(make())
    template, search = seen(2)
    first, second = (built.match(built.template(x[None]), search[:1]) for x in template)
    assert (first.scores - second.scores).abs().max() > 1e-4


def test_loss_in_parts() -> None:
    """Totals and counts of two parts of a batch are those of the whole, drop path and all."""
    built = model(plain(drop_path=0.5), model={"drop_path": 0.5}).train()
    built.set_progress(0.9)
    given = batch(4)
    keys = torch.arange(4)

    def terms(part: slice) -> Any:
        built.set_sample_keys(keys[part])
        return built.loss({name: x[part] for name, x in given.items()})

    whole, parts = terms(slice(4)), [terms(slice(1)), terms(slice(1, 4))]
    for name, term in whole.items():
        for field in ("total", "count"):
            found = sum(getattr(part[name], field).item() for part in parts)
            assert found == pytest.approx(getattr(term, field).item(), rel=1e-5), name


def test_fixed_encoder() -> None:
    """Under `frozen` it gets no gradient, nor do its activations."""
    backbone = plain()
    built = SwinTrackModel(backbone, recipe(protocol="frozen")).train()
    built.initialise(0)
    total = sum(term.value for term in built.loss(batch()).values())
    assert isinstance(total, Tensor)
    torch.autograd.backward(total)
    assert all(parameter.grad is None for parameter in backbone.parameters())
    own = [p for name, p in built.named_parameters() if not name.startswith("backbone.")]
    assert all(parameter.grad is not None for parameter in own)


@pytest.mark.parametrize("std", [0.02, 0.07])
def test_initialise_draws_from_its_seed_alone(std: float) -> None:
    built = model(model={"init_std": std})
    encoder = {name: x.clone() for name, x in built.backbone.state_dict().items()}
    state = torch.get_rng_state()
    built.initialise(3)
    first = {name: x.clone() for name, x in built.state_dict().items()}
    assert torch.equal(torch.get_rng_state(), state)
    built.initialise(4)
    other = {name: x.clone() for name, x in built.state_dict().items()}
    built.initialise(3)
    for name, x in built.state_dict().items():
        assert torch.equal(x, first[name])
        if name.startswith("backbone."):
            assert torch.equal(x, encoder[name.removeprefix("backbone.")])
        elif x.ndim > 1:
            assert not torch.equal(x, other[name]), name
            if x.numel() > 500:
                assert x.std().item() == pytest.approx(std, rel=0.15), name
        else:
            assert set(x.tolist()) == {0.0 if name.endswith("bias") else 1.0}, name


def test_half_precision_is_scored_in_full() -> None:
    built = model().train()
    with torch.autocast("cpu", torch.bfloat16):
        terms = built.loss(batch())
        assert built.match(built.template(seen(1)[0]), seen(1)[1]).scores.dtype == torch.float32
    full = built.loss(batch())
    for name, term in terms.items():
        assert term.value.dtype == torch.float32
        assert term.value.item() == pytest.approx(full[name].value.item(), rel=0.05), name


def test_build() -> None:
    assert isinstance(build(plain(), recipe()), SwinTrackModel)
