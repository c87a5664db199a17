"""Whole or not at all: every tensor and every parameter is accounted for."""

from collections import OrderedDict
from dataclasses import replace

import pytest
import torch

import backbones
from backbones import files
from backbones.families.beit import BeitFamily
from backbones.formats.simmim import SimmimFormat


def state(path):
    return dict(files.read(path).tensors)


def write(path, tensors, **beside):
    torch.save({"model": OrderedDict(tensors), **beside}, path)
    return path


def accounted(report):
    groups = [report.used, *report.converted.values(), *report.dropped.values()]
    return [name for group in groups for name in group]


@pytest.mark.parametrize("options", [
    {},
    {"keep": ("decoder",)},
    {"input_size": 64},
    {"input_size": 64, "arch": {"block_tables": True}},
    {"drop_last": 2},
    {"drop_last": 1, "input_size": (64, 40), "keep": ("decoder",)},
])  # fmt: skip
def test_counts_agree_with_the_file(simmim_file, options):
    names = list(torch.load(simmim_file, weights_only=True)["model"])
    report = backbones.load(simmim_file, **options).key_report
    assert sorted(accounted(report)) == sorted(names)
    assert report.total == len(names) == 55
    assert report.beside == ("optimizer", "lr_scheduler", "max_accuracy", "epoch")
    assert set(report.created) == {"fc_norm.weight", "fc_norm.bias"}


def test_what_is_dropped_has_a_named_rule(simmim_file):
    dropped = backbones.load(simmim_file).key_report.dropped
    assert dropped["index buffer"] == ("encoder.rel_pos_bias.relative_position_index",)
    assert set(dropped["decoder and mask token, not kept"]) == {
        "encoder.mask_token",
        "decoder.0.weight",
        "decoder.0.bias",
    }


def test_removed_blocks_are_reported(simmim_file):
    backbone = backbones.load(simmim_file, drop_last=2)
    dropped = backbone.key_report.dropped["drop_last=2"]
    assert len(dropped) == 2 * 15
    assert all(name.startswith(("encoder.blocks.1.", "encoder.blocks.2.")) for name in dropped)
    assert len(backbone.encoder.blocks) == 1


def test_one_line_and_json(simmim_file):
    report = backbones.load(simmim_file, input_size=64).key_report
    assert "\n" not in report.line()
    assert report.line().startswith("simmim: 55 tensors, 50 used, 1 converted")
    assert report.as_dict()["converted"] == {
        "bias table 6x6 to 8x8 by geometric spline": [
            "encoder.rel_pos_bias.relative_position_bias_table"
        ]
    }


def test_an_unknown_tensor_is_refused_by_name(simmim_file, tmp_path):
    tensors = state(simmim_file) | {"encoder.blocks.0.attn.surprise": torch.zeros(3)}
    with pytest.raises(backbones.LoadError, match=r"blocks\.0\.attn\.surprise"):
        backbones.load(write(tmp_path / "more.pth", tensors))


@pytest.mark.parametrize("name", [
    "encoder.norm.bias",
    "encoder.cls_token",
    "encoder.blocks.1.mlp.fc2.weight",
    "encoder.blocks.2.gamma_2",
    "encoder.blocks.1.attn.v_bias",
])  # fmt: skip
def test_a_missing_tensor_is_refused_by_name(simmim_file, tmp_path, name):
    tensors = state(simmim_file)
    del tensors[name]
    with pytest.raises(backbones.LoadError, match=name.replace(".", r"\.")):
        backbones.load(write(tmp_path / "less.pth", tensors))


def test_another_shape_is_refused(simmim_file, tmp_path):
    tensors = state(simmim_file) | {"encoder.blocks.1.mlp.fc1.bias": torch.zeros(191)}
    with pytest.raises(backbones.LoadError, match=r"fc1\.bias \(file \(191,\), model \(192,\)\)"):
        backbones.load(write(tmp_path / "shape.pth", tensors))


def test_infinite_values_are_refused(simmim_file, tmp_path):
    tensors = state(simmim_file)
    tensors["encoder.norm.weight"] = torch.full((48,), torch.nan)
    with pytest.raises(backbones.LoadError, match=r"encoder\.norm\.weight"):
        backbones.load(write(tmp_path / "nan.pth", tensors))


def test_prefix_of_a_parallel_wrapper_and_half_precision(simmim_file, tmp_path):
    tensors = {
        f"module.{name}": value.half() if value.is_floating_point() else value
        for name, value in state(simmim_file).items()
    }
    backbone = backbones.load(write(tmp_path / "half.pth", tensors))
    assert {p.dtype for p in backbone.parameters()} == {torch.float32}
    assert "54 tensors of float16 read as float32" in backbone.spec.notes
    whole = backbones.load(simmim_file)
    assert torch.equal(backbone.encoder.cls_token, whole.encoder.cls_token.half().float())


def test_unknown_and_wrong_overrides(simmim_file):
    with pytest.raises(backbones.LoadError, match=r"unknown fields.*window; known:.*num_heads"):
        backbones.load(simmim_file, arch={"window": 3})
    with pytest.raises(backbones.LoadError, match="relative_position_bias_table"):
        backbones.load(simmim_file, arch={"num_heads": 4})
    with pytest.raises(backbones.LoadError, match="divisor of the width 48, got 5"):
        backbones.load(simmim_file, arch={"num_heads": 5})
    with pytest.raises(backbones.LoadError, match="drop_last: expected 0 to 2"):
        backbones.load(simmim_file, drop_last=3)
    with pytest.raises(backbones.LoadError, match="input_size"):
        backbones.load(simmim_file, input_size=(0, 3))
    with pytest.raises(backbones.LoadError, match="no head to keep"):
        backbones.load(simmim_file, keep=("head",))
    with pytest.raises(backbones.LoadError, match="keep: expected some of decoder, depth, head"):
        backbones.load(simmim_file, keep=("tail",))


def test_an_override_wins_and_is_noted(simmim_file):
    backbone = backbones.load(simmim_file, arch={"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)})
    assert backbone.spec.mean == (0.5, 0.5, 0.5)
    assert "mean=(0.5, 0.5, 0.5) as given" in backbone.spec.notes
    assert not any("ImageNet" in note for note in backbone.spec.notes)


def test_check_says_what_was_recognised_and_why(simmim_file):
    found = backbones.check(simmim_file)
    assert (found.report.format, found.spec.family) == ("simmim", "beit")
    assert found.report.reason.startswith("encoder.mask_token")
    assert (found.container, found.wrapper, found.stripped) == ("torch zip", "model", False)
    assert (found.report.total, len(found.report.used)) == (55, 51)
    backbone = backbones.load(simmim_file)
    assert found.parameters == sum(p.numel() for p in backbone.parameters())
    assert found.maps == backbone.feature_info


TYPES = [torch.int64, torch.int8, torch.bool, torch.complex64]


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("name", [
    "encoder.blocks.1.norm1.weight",
    "encoder.rel_pos_bias.relative_position_bias_table",
])  # fmt: skip
def test_numbers_of_another_type_are_refused_by_name(simmim_file, tmp_path, name, dtype):
    tensors = state(simmim_file)
    tensors[name] = torch.ones_like(tensors[name], dtype=dtype)
    path = write(tmp_path / "type.pth", tensors)
    for size in (48, 64):
        with pytest.raises(backbones.LoadError, match=f"{name.removeprefix('encoder.')}.* {dtype}"):
            backbones.load(path, input_size=size)


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_a_position_table_of_another_type_is_refused(mae_file, mae_heads, tmp_path, dtype):
    tensors = {n: v for n, v in state(mae_file).items() if not n.startswith(("decoder", "mask"))}
    tensors["pos_embed"] = torch.ones_like(tensors["pos_embed"], dtype=dtype)
    with pytest.raises(backbones.LoadError, match=f"pos_embed is of {dtype}, expected floating"):
        backbones.load(write(tmp_path / "table.pth", tensors), input_size=64, arch=mae_heads)


@pytest.mark.parametrize(("theirs", "ours"), [
    ("encoder.mask_token", "decoder.mask_token"),
    ("decoder.0.weight", "decoder.conv.weight"),
])  # fmt: skip
def test_two_tensors_of_one_name_are_both_named(simmim_file, tmp_path, theirs, ours):
    tensors = state(simmim_file)
    path = write(tmp_path / "twice.pth", tensors | {ours: tensors[theirs] + 1})
    with pytest.raises(backbones.LoadError, match=f"{theirs} and {ours} are both read as {ours}"):
        backbones.load(path)


@pytest.mark.parametrize("times", [0, 2])
def test_a_layout_that_loses_count_is_refused(simmim_file, monkeypatch, times):
    parse = SimmimFormat.parse

    def miscounted(self, checkpoint):
        parsed = parse(self, checkpoint)
        return replace(parsed, dropped={rule: n * times for rule, n in parsed.dropped.items()})

    monkeypatch.setattr(SimmimFormat, "parse", miscounted)
    with pytest.raises(backbones.LoadError, match=r"does not for .*relative_position_index; mend"):
        backbones.load(simmim_file)


@pytest.mark.parametrize("number", ["4", "3000", "007", "9" * 5000], ids=len)
def test_blocks_are_numbered_without_gaps(simmim_file, tmp_path, monkeypatch, number):
    monkeypatch.setattr(BeitFamily, "build", lambda *_: pytest.fail("a model was built"))
    tensors = state(simmim_file) | {f"encoder.blocks.{number}.norm1.weight": torch.zeros(48)}
    with pytest.raises(backbones.LoadError, match=rf"4 blocks.*0 to 3, got blocks\.{number}\."):
        backbones.load(write(tmp_path / "gap.pth", tensors))


def test_blocks_of_the_decoder_are_numbered_without_gaps(mae_file, mae_heads, tmp_path):
    tensors = state(mae_file) | {"decoder_blocks.9.norm1.weight": torch.zeros(32)}
    with pytest.raises(backbones.LoadError, match=r"expected the numbers.*decoder\.blocks\.9\."):
        backbones.load(write(tmp_path / "gap.pth", tensors), arch=mae_heads)
