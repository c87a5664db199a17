"""Changed files of the Swin family are refused in one line, or give the features they gave."""

import random

import pytest
import torch

import backbones
from backbones import files
from tests.backbones.stages import checkpoint

CHANGES = {
    "missing": lambda tensors, name: tensors.pop(name),
    "renamed": lambda tensors, name: tensors.update({f"{name}_": tensors.pop(name)}),
    "flattened": lambda tensors, name: tensors.update({name: tensors[name].flatten()}),
    "cut": lambda tensors, name: tensors.update({name: tensors[name][:-1]}),
    "empty": lambda tensors, name: tensors.update({name: tensors[name][:0]}),
    "scalar": lambda tensors, name: tensors.update({name: torch.tensor(1.0)}),
    "not a number": lambda tensors, name: tensors.update({name: tensors[name] * torch.nan}),
    "whole numbers": lambda tensors, name: tensors.update({name: tensors[name].short()}),
}
BUFFERS = ("relative_position_index", "relative_coords_table", "attn_mask")


@pytest.mark.parametrize(
    "fixture", ["simmim_swin", "swin_supervised", "simmim_swinv2", "mim_depth_swinv2"]
)
def test_mutants(fixture, tmp_path):
    whole = backbones.load(checkpoint(fixture))
    images = torch.rand(1, 3, *whole.input_size)
    features = whole.encode(images)
    tensors = dict(files.read(checkpoint(fixture)).tensors)
    drawn = random.Random(fixture)
    buffers = [name for name in tensors if name.endswith(BUFFERS)]
    used = sorted(set(tensors) - set(buffers) - {n for n in tensors if tensors[n].ndim == 0})
    refused = 0
    for change in CHANGES.values():
        for name in drawn.sample(used, 3) + drawn.sample(buffers, 2):
            mutant = dict(tensors)
            change(mutant, name)
            torch.save({"model": mutant}, tmp_path / "mutant.pth")
            try:
                loaded = backbones.load(tmp_path / "mutant.pth")
            except backbones.LoadError as error:
                assert "\n" not in str(error)
                refused += 1
            else:
                assert torch.equal(loaded.encode(images), features), name
    assert refused > len(CHANGES)
