"""One encoder at two sizes: what `load` gives at the second, with one set of parameters."""

import sys

import pytest
import torch
from torch import nn

import backbones
from backbones.resizing import at_size
from harness.engine.collective import GlobalBatchNorm2d, with_global_statistics
from tests import plugins
from tests.backbones.conftest import FIXTURES, MAE_HEADS
from tests.backbones.stages import SMALL

HEADS = {"num_heads": 4, "position_resize": "bicubic"}
PUBLISHED = {
    "beit_finetuned": {},
    "beit_pretrain": {},
    "deit": HEADS,
    "dino": HEADS,
    "dinov2": HEADS | {"position_resize": "bicubic_offset"},
    "ibot": HEADS,
    "mae_vit": MAE_HEADS,
    "mim_depth_swinv2": {},
    "moco_v3": HEADS,
    "simmim_swin": {},
    "simmim_swinv2": {},
    "simmim_vit": {},
    "swin_supervised": {},
}
"""Fixtures of published layouts, and what `load` is told of them."""

TOKENS = {"embed_dim": 24, "depth": 3, "num_heads": 3, "patch_size": 8}
WINDOWS = {"window_size": 3, "rel_pos": True, "global_blocks": [1], "position_resize": "bicubic"}
HIERA = {"embed_dim": 8, "depths": (1, 2, 3, 1), "num_heads": 1}
NEW = {
    "vit windows": ("vit", TOKENS | WINDOWS),
    "vit corners": ("vit", TOKENS | {"position_resize": "bilinear_corners"}),
    "beit own": ("beit", TOKENS | {"block_tables": True}),
    "beit both": ("beit", TOKENS | {"shared_table": True, "position_table": True}),
    "eva02": ("eva", TOKENS | {"mlp_hidden": 20}),
    "dinov3": ("eva", TOKENS | {"rope": "dinov3"}),
    "swin": ("swin", SMALL),
    "swin padded": ("swin", SMALL | {"pad_small_maps": True}),
    "swin proportional": (
        "swin",
        SMALL | {"window_size": 0, "trained_window": 4, "window_rule": "proportional"},
    ),
    "swinv2": ("swinv2", SMALL),
    "hiera": ("hiera", HIERA),
    "hiera stretched": ("hiera", HIERA | {"window_table": True, "table": (4, 4)}),
    "convnext": ("convnext", {"dims": (8, 12, 16, 24), "depths": (1, 2, 3, 1)}),
}
"""Families and variants, written and read in our own layout."""
SIZES = [(64, 64), (128, 64), (40, 56)]


def new(name, size, **options):
    """An encoder whose values are far from where they begin."""
    family, arch = NEW[name]
    backbone = backbones.create(family, arch, size, 0, **options)
    random = torch.Generator().manual_seed(1)
    for parameter in backbone.parameters():
        parameter += 0.2 * torch.randn(parameter.shape, generator=random)
    backbone.seal()
    return backbone


def images(size, count=2):
    return torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(2))


def worst(found, expected):
    """The largest difference of maps, by the largest value of each."""
    pairs = zip(found, expected, strict=True)
    return max(float((a - b).abs().max() / b.abs().max()) for a, b in pairs)


def agree(resized, loaded, bound):
    """Maps, their description, and the normed map."""
    given = images(loaded.input_size)
    assert resized.input_size == loaded.input_size
    assert resized.feature_info == loaded.feature_info
    assert worst(resized.forward(given), loaded(given)) <= bound
    assert worst([resized.encode(given)], [loaded.encode(given)]) <= bound


@pytest.mark.parametrize("size", SIZES[1:])
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_files_give_what_load_gives(name, size):
    path, arch = FIXTURES / name / "checkpoint.pth", PUBLISHED[name]
    first = backbones.load(path, arch=arch)
    agree(at_size(first, size), backbones.load(path, size, arch=arch), 5e-6)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", NEW)
def test_all_families_give_what_load_gives(name, size, tmp_path):
    """From the file's size; and from another, whose tables are the file's of a saved encoder."""
    path = tmp_path / "own.safetensors"
    backbones.save(new(name, (128, 128)), path, {}, torch.float32)
    agree(at_size(backbones.load(path), size), backbones.load(path, size), 5e-6)
    first = backbones.load(path, (128, 160))
    backbones.save(first, tmp_path / "second.safetensors", {}, torch.float32)
    windows = {"window_size": first.arch_for(size)["window_size"]} if "swin" in name else {}
    again = backbones.load(tmp_path / "second.safetensors", size, arch=windows)
    agree(at_size(first, size), again, 5e-6)


def test_networks_of_timm(written):
    written("test_resnet.r160_in1k")
    first, other = (backbones.load("timm:test_resnet.r160_in1k", size) for size in (64, (96, 64)))
    agree(at_size(first, (96, 64)), other, 0)


def test_a_table_without_a_rule_is_refused():
    path = FIXTURES / "dino" / "checkpoint.pth"
    first = backbones.load(path, arch={"num_heads": 4, "position_resize": None})
    with pytest.raises(backbones.LoadError) as caught:
        at_size(first, 64)
    said = str(caught.value)
    assert "cannot also run at 64x64 pixels: the position table has to go from" in said
    assert "give it: --set backbone.position_resize" in said and "\n" not in said


@pytest.mark.parametrize("name", NEW)
def test_gradients_of_both_sizes_reach_one_set_of_parameters(name):
    """Each is the sum of those of an encoder of its own at each size; nothing is added to what a
    module that holds both shows."""
    first = new(name, (128, 128))
    holder = nn.Module()
    holder.backbone, holder.second = first, at_size(first, (96, 64))
    assert holder.state_dict().keys() == {f"backbone.{name}" for name in first.state_dict()}
    assert len(list(holder.parameters())) == len(list(first.parameters()))
    large, small = images((128, 128)), images((96, 64))

    def gradients(*losses):
        first.zero_grad(set_to_none=True)
        sum(losses).backward()
        found = {n: p.grad for n, p in first.named_parameters() if p.grad is not None}
        return {n: g.clone() for n, g in found.items()}

    def of(maps):
        return sum(each.square().mean() for each in maps)

    with torch.enable_grad():
        one, two = gradients(of(first(large))), gradients(of(holder.second(small)))
        both = gradients(of(first(large)), of(holder.second(small)))
    assert one.keys() == two.keys() == both.keys()
    for key, found in both.items():
        assert torch.allclose(found, one[key] + two[key], rtol=1e-4, atol=1e-6), key


@pytest.mark.parametrize("name", ["vit corners", "beit own", "beit both", "swin", "hiera"])
def test_the_gradient_of_a_table_is_that_of_the_published_rule(name):
    """The rule is linear, so a step along a direction changes the loss by its exact amount: the
    family's own `fit` of a moved table is compared with the gradient."""
    first = new(name, (128, 128)).double()
    second, given = at_size(first, (96, 64)), images((96, 64)).double()
    table = next(p for n, p in first.named_parameters() if n in second._rules)
    step = torch.randn(table.shape, generator=torch.Generator().manual_seed(3)).double()

    def loss():
        return second.encode(given).square().mean()

    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(loss(), table)
    origin, size = table.clone(), 1e-5
    table.copy_(origin + size * step)
    ahead = loss()
    table.copy_(origin - size * step)
    slope = (ahead - loss()) / (2 * size)
    assert float(slope) == pytest.approx(float((gradient * step).sum()), rel=1e-5)


@pytest.mark.parametrize("name", ["beit both", "swin", "dinov3", "hiera"])
def test_it_follows_new_values(name):
    """Of `load_state_dict`, of `initialise`, of an optimiser's step, of another number type."""
    first, other = new(name, (128, 128)), new(name, (128, 128))
    other.initialise(5)
    for parameter in other.parameters():
        parameter += 0.1
    second, given = at_size(first, (96, 64)), images((96, 64))
    before = second.encode(given)
    first.load_state_dict(other.state_dict())
    assert not torch.equal(second.encode(given), before)
    assert torch.equal(second.encode(given), at_size(other, (96, 64)).encode(given))
    first.initialise(5)
    other.initialise(5)
    assert torch.equal(second.encode(given), at_size(other, (96, 64)).encode(given))
    wide = second.encode(given)
    exact = at_size(first.double(), (96, 64)).encode(given.double())
    assert torch.equal(second.encode(given.double()), exact)
    assert torch.allclose(exact.float(), wide, atol=1e-3)


@pytest.mark.parametrize("name", ["beit both", "swin", "swinv2", "dinov3", "hiera"])
def test_it_follows_to_another_device(name):
    """`meta`, which every machine has, and whose tensors go with those of no other."""
    first = new(name, (128, 128))
    second = at_size(first, (96, 64))
    first.to("meta")
    second._follow()
    assert all(each.is_meta for each in (*second._network.buffers(), *second._rules.values()))
    if not second._rules:  # autocast, which is off for tables, knows no such device
        assert second.encode(images((96, 64)).to("meta")).is_meta


def test_it_follows_mode_and_sample_keys():
    """Drop path is tied to samples, whatever the batch, and is other noise than at the first."""
    first = new("beit own", (64, 64), drop_path=0.5)
    second, given = at_size(first, (64, 64)), images((64, 64), count=1).expand(32, -1, -1, -1)
    assert torch.equal(second.encode(given), first.encode(given))
    first.train()
    keys = torch.arange(32)
    first.set_sample_keys(keys)
    noisy = second.encode(given)
    assert torch.equal(second.encode(given), noisy)
    kinds = [torch.unique(e.encode(given).flatten(1), dim=0) for e in (first, second)]
    assert all(len(each) > 2 for each in kinds)
    same = (noisy == first.encode(given)).flatten(1).all(dim=1)
    assert 0 < same.sum() < 32
    first.set_sample_keys(keys[20:])
    assert torch.equal(second.encode(given[20:]), noisy[20:])
    first.set_sample_keys(None)
    first.eval()
    assert torch.equal(second.encode(given), first.encode(given))


def test_batch_norms_are_shared_and_of_the_firsts_kind(written):
    written("test_resnet.r160_in1k")
    first = backbones.load("timm:test_resnet.r160_in1k", input_size=64)
    second = at_size(first, 96)
    with_global_statistics(first)
    norms = [name for name, m in first.named_modules() if isinstance(m, GlobalBatchNorm2d)]
    before = {n: first.get_submodule(n).running_mean.clone() for n in norms}
    first.train()
    second(images((96, 96)))
    assert all(type(second._network.get_submodule(n)) is GlobalBatchNorm2d for n in norms)
    assert not any(torch.equal(first.get_submodule(n).running_mean, before[n]) for n in norms)


def test_images_of_the_first_size_are_refused():
    second = at_size(new("swin", (128, 128)), 96)
    with pytest.raises(ValueError, match="expected images of shape"):
        second(images((64, 64)))
    assert second(images((96, 96)))[0].shape == (2, 8, 24, 24)


@pytest.fixture
def site(tmp_path, monkeypatch):
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    for name in [name for name in sys.modules if name.endswith("offered_module")]:
        del sys.modules[name]


OFFERED = """
import torch
import backbones, dataclasses


def offered(input_size=(64, 64), arch=None):
    \"\"\"A network of its own, for which no family has a rule.\"\"\"
    shape = {"dims": (8, 12, 16, 24), "depths": (1, 1, 1, 1)} | (arch or {})
    made = backbones.create("convnext", shape, input_size, 0)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter += 0.1
    made.spec = dataclasses.replace(made.spec, name="offered", family="offered")
    return made
"""


def test_encoders_of_other_packages(site):
    plugins.offer(site, plugins.ENCODERS, "offered", OFFERED)
    agree(at_size(backbones.load("offered"), 96), backbones.load("offered", 96), 0)
    other = backbones.load("offered", arch={"norm_eps": 1e-2})
    with pytest.raises(backbones.LoadError, match=r"at 96x96 pixels: .*with other settings"):
        at_size(other, 96)
