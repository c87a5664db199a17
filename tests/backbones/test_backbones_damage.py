"""A file that lacks a tensor is refused, or gives what it gave: no published layout guesses."""

import pytest
import torch

import backbones

TWO_HEADS = {"num_heads": 2}
LAYOUTS = {
    "beit_pretrain": None,
    "beit_finetuned": None,
    "deit": TWO_HEADS,
    "dino": TWO_HEADS,
    "ibot": TWO_HEADS,
    "moco_v3": TWO_HEADS,
    "dinov2": TWO_HEADS,
}
UNKNOWABLE = {"register_tokens"}
"""DINOv2 is published with and without these; nothing else in a file depends on them."""


def outputs(path, arch):
    backbone = backbones.load(path, arch=arch)
    images = torch.linspace(0, 1, 3).view(1, 3, 1, 1).expand(1, 3, *backbone.input_size)
    return torch.cat([backbone.encode(images).flatten(), backbone.pooled(images).flatten()])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_one_tensor_less_or_of_another_name(layout, published, tmp_path):
    path, arch = published(layout)[0], LAYOUTS[layout]
    content = torch.load(path, weights_only=True)
    key = next((key for key in ("model", "state_dict") if key in content), None)
    state = content[key] if key else content
    whole, refused = outputs(path, arch), 0
    # Every third of what lies outside the second block, which is as the first.
    names = [name for name in state if ".blocks.1." not in f".{name}"][::3]
    for name in names:
        rest = {n: value for n, value in state.items() if n != name}
        for mutant in (rest, rest | {f"{name}_": state[name]}):
            torch.save({**content, key: mutant} if key else mutant, tmp_path / "mutant.pth")
            try:
                found = outputs(tmp_path / "mutant.pth", arch)
            except backbones.LoadError as error:
                refused += 1
                assert "\n" not in str(error)
                continue
            assert torch.equal(found, whole) or name in UNKNOWABLE, name
    assert refused >= 10
