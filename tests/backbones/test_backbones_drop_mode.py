"""The last blocks of an encoder, drawn anew in their place instead of left out."""

from collections import Counter
from itertools import chain

import pytest
import torch

import backbones
from backbones.dropping import Drop
from harness.recipes import determining
from tasks.recipe import BackboneRecipe
from tests.backbones.conftest import FIXTURES, MAE_HEADS

PLAIN = {"embed_dim": 24, "depth": 4, "num_heads": 3, "patch_size": 8}
STAGES = {"embed_dim": 8, "depths": (1, 1, 4, 1)}
SWIN = STAGES | {"num_heads": (1, 2, 2, 4), "window_size": 4}
MADE = {
    "vit": PLAIN,
    "vit in windows": PLAIN | {"window_size": 3, "rel_pos": True},
    "beit": PLAIN,
    "eva": PLAIN,
    "swin": SWIN,
    "swinv2": SWIN,
    "hiera": STAGES | {"num_heads": 1},
    "convnext": {"dims": (8, 8, 8, 8), "depths": (1, 1, 4, 1)},
}
FILES = {
    "simmim_vit": {},
    "mae_vit": {"num_heads": 3},
    "dinov2": {"num_heads": 2},
    "deit": {"num_heads": 2},
    "simmim_swinv2": {},
}
ANEW_ALONE = {"drop_mode": "reinitialised"}
ANEW = ANEW_ALONE | {"drop_last": 1}
SIZE = 64


@pytest.fixture(scope="module", params=[*MADE, *FILES])
def case(request, tmp_path_factory):
    """A file, what it needs to be told, and where its last blocks are."""
    name = request.param
    if name in FILES:
        staged = "swin" in name
        path, told = FIXTURES / name / "checkpoint.pth", {"arch": FILES[name]}
    else:
        staged = "depths" in MADE[name]
        backbone = backbones.create(name.split()[0], MADE[name], SIZE, 0)
        random = torch.Generator().manual_seed(1)
        for parameter in backbone.parameters():
            parameter.data += 0.1 * torch.randn(parameter.shape, generator=random)
        path, told = tmp_path_factory.mktemp("files") / "encoder.safetensors", {}
        backbones.save(backbone, path, {}, torch.float32)
    return path, told, staged


def block_prefixes(backbone, staged, last):
    """The names that the last blocks of the encoder, or of its last stage but one, begin with."""
    depth = backbone.spec.arch["depths"][-2] if staged else backbone.spec.arch["depth"]
    stages = "stages" if backbone.spec.family == "convnext" else "layers"
    owner = f"encoder.{stages}.2.blocks" if staged else "encoder.blocks"
    return tuple(f"{owner}.{number}." for number in range(depth - last, depth))


def test_the_last_blocks_are_as_initialised_and_all_else_is_the_file_s(case):
    path, told, staged = case
    whole = backbones.load(path, **told)
    anew = backbones.load(path, **told, **ANEW, seed=5)
    inside = block_prefixes(whole, staged, 1)
    there = {name: value.clone() for name, value in whole.state_dict().items()}
    assert anew.state_dict().keys() == there.keys()
    images = torch.rand(1, 3, *whole.input_size)
    before, after = whole.blocks(images), anew.blocks(images)
    whole.initialise(5)
    changed = set()
    for name, value in anew.state_dict().items():
        expected = whole.state_dict() if name.startswith(inside) else there
        assert torch.equal(value, expected[name]), name
        if name.startswith(inside) and not torch.equal(value, there[name]):
            changed.add(name)
    assert any(name.endswith(".weight") for name in changed)
    first = len(before) - (2 if staged else 1)
    assert all(torch.equal(before[i], after[i]) for i in range(first))
    assert not torch.equal(before[first], after[first])


def test_the_report_names_what_was_drawn(case):
    path, told, staged = case
    removed, anew = (backbones.load(path, **told, drop_last=1, **mode) for mode in ({}, ANEW_ALONE))
    rule = "reinitialised by drop_last=1"
    report = anew.key_report
    assert report.dropped[rule] == removed.key_report.dropped["drop_last=1"]
    assert "drop_last=1" not in report.dropped
    inside = block_prefixes(anew, staged, 1)
    names = {name for name, _ in anew.named_parameters() if name.startswith(inside)}
    assert names and names <= set(report.created)
    others = set(report.created) - set(removed.key_report.created)
    assert all(name.startswith(inside) for name in others)
    groups = (report.used, *report.converted.values(), *report.dropped.values())
    told_of = Counter(chain.from_iterable(groups))
    assert set(told_of.values()) == {1} and sum(told_of.values()) == report.total
    assert rule in report.line()
    assert f" and {len(report.created) - 8} more)" in report.line()
    assert set(report.as_dict()["created"]) == set(report.created)


def test_it_is_sealed_and_follows_from_the_seed_alone(case):
    path, told, _ = case
    state = torch.get_rng_state()
    one, same, other = (backbones.load(path, **told, **ANEW, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert one.loaded_sha256 == one.parameters_sha256() == same.loaded_sha256
    assert one.loaded_sha256 != other.loaded_sha256
    whole, nothing = (backbones.load(path, **told, **mode) for mode in ({}, ANEW_ALONE))
    assert whole.loaded_sha256 == nothing.loaded_sha256 != one.loaded_sha256
    assert whole.key_report == nothing.key_report


def test_layers_keep_their_numbers_or_are_counted_anew(case):
    path, told, staged = case
    whole = backbones.load(path, **told)
    anew = backbones.load(path, **told, **ANEW)
    removed = backbones.load(path, **told, drop_last=1)
    assert anew.layer_ids() == whole.layer_ids() and anew.last_layer == whole.last_layer
    gone = block_prefixes(whole, staged, 1)
    kept = {n: i for n, i in whole.layer_ids().items() if not n.startswith(gone)}
    assert removed.layer_ids().keys() == kept.keys()
    if whole.spec.family == "convnext":
        # Its rule numbers groups of three blocks of the third stage.
        return
    assert removed.last_layer == whole.last_layer - 1
    [number] = {i for n, i in whole.layer_ids().items() if n.startswith(gone)}
    # What merges patches behind a stage belongs to its last block.
    assert removed.layer_ids() == {n: i - (i >= number) for n, i in kept.items()}


@pytest.mark.parametrize(("name", "rule"), [
    ("vit", "simmim"), ("vit", "vitdet"), ("swin", "simmim"), ("swin", "swin_detection"),
])  # fmt: skip
def test_layers_under_a_named_rule(name, rule, tmp_path):
    made = backbones.create(name, MADE[name], SIZE, 0)
    backbones.save(made, tmp_path / "encoder.safetensors", {}, torch.float32)
    removed, anew = (
        backbones.load(tmp_path / "encoder.safetensors", drop_last=2, drop_mode=mode)
        for mode in ("removed", "reinitialised")
    )
    assert anew.layer_ids(rule) == made.layer_ids(rule)
    assert anew.last_layer_of(rule) == made.last_layer_of(rule)
    arch = {"depth": 2} if name == "vit" else {"depths": (1, 1, 2, 1)}
    shorter = backbones.create(name, MADE[name] | arch, SIZE, 0)
    assert removed.layer_ids(rule) == shorter.layer_ids(rule)
    assert removed.last_layer_of(rule) == shorter.last_layer_of(rule)


@pytest.mark.parametrize("name", ["vit", "swin"])
def test_drop_path_grows_over_all_blocks_that_there_are(name, tmp_path):
    made = backbones.create(name, MADE[name], SIZE, 0)
    backbones.save(made, tmp_path / "encoder.safetensors", {}, torch.float32)
    for mode, count in (("removed", -2), ("reinitialised", 0)):
        path = tmp_path / "encoder.safetensors"
        backbone = backbones.load(path, drop_path=0.3, drop_last=2, drop_mode=mode)
        rates = [m.rate for n, m in backbone.named_modules() if n.endswith("drop_path1")]
        blocks = (4 if name == "vit" else 7) + count
        assert rates == pytest.approx([0.3 * i / (blocks - 1) for i in range(blocks)])


def test_a_table_of_all_blocks_is_not_copied_into_one_that_is_drawn(simmim_file):
    """SimMIM's shared table goes to each block that keeps the file's values; others begin at 0."""
    backbone = backbones.load(simmim_file, arch={"block_tables": True}, **ANEW)
    tables = [block.attn.relative_position_bias_table for block in backbone.encoder.blocks]
    assert torch.equal(tables[0], tables[1]) and tables[0].any()
    fresh = backbones.load(simmim_file, arch={"block_tables": True})
    fresh.initialise(0)
    drawn = fresh.encoder.blocks[2].attn.relative_position_bias_table
    assert torch.equal(tables[2], drawn)


def test_with_a_decoder_and_another_size(mae_file):
    options = {"arch": MAE_HEADS, "keep": ("decoder",), "input_size": (96, 64)}
    whole = backbones.load(mae_file, **options)
    anew = backbones.load(mae_file, **options, **ANEW)
    kept = [n for n in whole.state_dict() if not n.startswith(block_prefixes(whole, False, 1))]
    assert all(torch.equal(anew.state_dict()[n], whole.state_dict()[n]) for n in kept)


@pytest.mark.parametrize(("name", "said"), [("vit", "0 to 3 of 4"), ("swin", "0 to 3 of the 4 bl")])
def test_more_blocks_than_there_are(name, said, tmp_path):
    made = backbones.create(name, MADE[name], SIZE, 0)
    backbones.save(made, tmp_path / "encoder.safetensors", {}, torch.float32)
    for mode in ("removed", "reinitialised"):
        with pytest.raises(backbones.LoadError, match=f"drop_last: expected {said}.* got 4"):
            backbones.load(tmp_path / "encoder.safetensors", drop_last=4, drop_mode=mode)


def test_an_unknown_mode(simmim_file):
    with pytest.raises(backbones.LoadError, match="expected removed or reinitialised, got 'gone'"):
        backbones.load(simmim_file, drop_mode="gone")


def test_other_packages_are_asked_for_what_differs_from_the_default_alone():
    assert Drop().asked() == Drop(0, "reinitialised", 3).asked() == {}
    assert Drop(2, "removed", 3).asked() == {"drop_last": 2}
    asked = {"drop_last": 2, "drop_mode": "reinitialised", "seed": 0}
    assert Drop(2, "reinitialised", 0).asked() == asked


def test_the_recipe_s_field_makes_another_cell_only_where_blocks_are_dropped():
    """Cells that were run before there was a mode keep their identity."""

    def cell(**values):
        return determining(BackboneRecipe(input_size=(64, 64), **values))

    assert "drop_mode" not in cell()
    assert cell(drop_mode="reinitialised") == cell()
    assert "drop_mode" not in cell(drop_last=2)
    assert cell(**ANEW)["drop_mode"] == "reinitialised"
    assert BackboneRecipe(input_size=(64, 64), **ANEW).arch() is None
