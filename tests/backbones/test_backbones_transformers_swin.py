"""Swin and SwinV2 of Hugging Face transformers: key names by a round trip, and, where the library
is installed, its networks' own outputs."""

import importlib.util
import re

import pytest
import torch
from safetensors.torch import save_file

import backbones
from tests.backbones.stages import small

DEPTHS, HEADS, WINDOW = (2, 2), (1, 2), 4
SHAPE = {"embed_dim": 8, "depths": DEPTHS, "num_heads": HEADS, "window_size": WINDOW}
WINDOWS = {"swin": None, "swinv2": {"window_size": WINDOW}}
"""What is to be said of a file: a SwinV2's without buffers does not tell its windows."""

JOINED = "query, key and value joined"
TO_THEIRS = [
    (r"^encoder\.layers\.1\.downsample", "encoder.layers.0.downsample"),
    (r"^encoder\.patch_embed\.proj\.", "embeddings.patch_embeddings.projection."),
    (r"^encoder\.patch_embed\.norm\.", "embeddings.norm."),
    (r"^encoder\.norm\.", "layernorm."),
    (r"^decoder\.mask_token$", "embeddings.mask_token"),
    (r"\.attn\.proj\.", ".attention.output.dense."),
    (r"\.attn\.cpb_mlp\.", ".attention.self.continuous_position_bias_mlp."),
    (r"\.attn\.q_bias", ".attention.self.query.bias"),
    (r"\.attn\.v_bias", ".attention.self.value.bias"),
    (r"\.attn\.", ".attention.self."),
    (r"\.norm1\.", ".layernorm_before."),
    (r"\.norm2\.", ".layernorm_after."),
    (r"\.mlp\.fc1\.", ".intermediate.dense."),
    (r"\.mlp\.fc2\.", ".output.dense."),
]


def renamed(name):
    for pattern, new in TO_THEIRS:
        name = re.sub(pattern, new, name)
    return name


@pytest.fixture(params=WINDOWS)
def family(request):
    return request.param


def theirs(ours):
    """Our weights under their names, the joined layers taken apart."""
    state = {}
    for name, value in ours.state_dict().items():
        if ".qkv." in name:
            for part, piece in zip(("query", "key", "value"), value.chunk(3), strict=True):
                state[renamed(name.replace("qkv", part))] = piece.clone()
        elif name.startswith("decoder.conv."):
            state[name.replace("conv", "0")] = value.clone()
        elif name.startswith("head."):
            state[name.replace("head", "classifier")] = value.clone()
        else:
            state[renamed(name)] = value.clone()
    return state


def prefixed(state, family):
    apart = ("classifier.", "decoder.")
    return {n if n.startswith(apart) else f"{family}.{n}": v for n, v in state.items()}


@pytest.mark.parametrize("keep", [(), ("head",), ("decoder",)], ids=str)
def test_round_trip(family, keep, tmp_path):
    ours = small(family, 32, arch=SHAPE | {"num_classes": 5 * ("head" in keep)}, keep=keep)
    state = theirs(ours)
    path = tmp_path / "model.safetensors"
    save_file(prefixed(state, family) if keep else state, path)
    backbone = backbones.load(path, arch=WINDOWS[family], keep=keep)
    assert backbone.key_report.format == "transformers"
    assert backbone.spec.arch["window_rule"] == ("proportional" if "decoder" in keep else "fixed")
    expected = ours.state_dict()
    assert backbone.state_dict().keys() == expected.keys()
    assert all(torch.equal(value, expected[n]) for n, value in backbone.state_dict().items())
    layers = 2 if family == "swin" else 1
    assert len(backbone.key_report.converted[JOINED]) == 3 * layers * sum(DEPTHS)


def test_windows_of_a_file_with_buffers(tmp_path, refused):
    """As versions of the library before the fifth write them."""
    ours = small("swinv2", 32, arch=SHAPE | {"pretrained_window_size": 3})
    state = theirs(ours)
    path = tmp_path / "model.safetensors"
    save_file(state, path)
    refused(path, "window_size")
    for i, depth in enumerate(DEPTHS):
        for j in range(depth):
            attn = ours.encoder.layers[i].blocks[j].attn
            name = f"encoder.layers.{i}.blocks.{j}.attention.self"
            state[f"{name}.relative_coords_table"] = attn.relative_coords_table.clone()
            state[f"{name}.relative_position_index"] = attn.relative_position_index.clone()
    save_file(state, path)
    backbone = backbones.load(path)
    assert backbone.spec.arch["trained_window"] == (WINDOW, WINDOW)
    assert backbone.spec.arch["pretrained_window_size"] == (3, 3)
    images = torch.rand(1, 3, 32, 32)
    assert torch.equal(backbone.encode(images), ours.encode(images))


def test_one_tensor_broken_is_refused(family, tmp_path, refused):
    state = theirs(small(family, 32, arch=SHAPE | {"num_classes": 5}, keep=("head",)))
    for name in [name for name in state if "blocks.1." not in name][::2]:
        value = state[name]
        rest = {n: v for n, v in state.items() if n != name}
        for mutant in (
            rest,
            rest | {f"{name}_": value},
            rest | {name: value[..., :0]},
            rest | {name: torch.full_like(value, torch.nan)},
        ):
            save_file(mutant, tmp_path / "m.safetensors")
            refused(tmp_path / "m.safetensors", r"\S", arch=WINDOWS[family], keep=("head",))


needs_library = pytest.mark.skipif(
    importlib.util.find_spec("transformers") is None,
    reason="transformers is not installed; key names are held without it",
)
CASES = {
    "swin": ("SwinConfig", "Swin", {}),
    "swinv2": ("Swinv2Config", "Swinv2", {}),
    "swinv2_pretrained": ("Swinv2Config", "Swinv2", {"pretrained_window_sizes": [3, 3, 3, 3]}),
}


@needs_library
@pytest.mark.parametrize("task", ["Model", "ForImageClassification", "ForMaskedImageModeling"])
@pytest.mark.parametrize("case", CASES)
def test_networks_of_the_library(case, task, tmp_path, close):
    import transformers

    config, kind, more = CASES[case]
    size = (56, 40) if task == "Model" and kind == "Swin" else (32, 32)
    side = size if size[0] != size[1] else size[0]  # its masked model knows one number only
    shape = {"image_size": side, "patch_size": 4, "embed_dim": 8, "depths": list(DEPTHS),
             "num_heads": list(HEADS), "window_size": WINDOW, "encoder_stride": 8}  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        settings = getattr(transformers, config)(**shape, **more)
        network = getattr(transformers, kind + task)(settings).eval()
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    network.save_pretrained(tmp_path)
    torch.save(network.state_dict(), tmp_path / "state.pth")
    arch = {"window_size": WINDOW} if kind == "Swinv2" else {}
    arch |= {"pretrained_window_size": 3} if more else {}
    keep = {"ForImageClassification": ("head",), "ForMaskedImageModeling": ("decoder",)}.get(task)
    path = tmp_path / "model.safetensors"
    backbone = backbones.load(path, input_size=size, arch=arch, keep=keep or ())
    again = backbones.load(tmp_path / "state.pth", input_size=size, arch=arch)
    assert again.parameters_sha256() == backbone.parameters_sha256()

    images = torch.rand(2, 3, *size)
    normed = (images - backbone.mean) / backbone.std
    base = getattr(network, kind.lower(), network)
    found = base(normed, output_hidden_states=True)
    blocks = backbone.blocks(images)
    grid = backbone.encode(images).shape[2:]
    last = found.last_hidden_state.transpose(1, 2).unflatten(2, tuple(grid))
    assert close(backbone.encode(images), last)
    assert close(backbone.pooled(images), found.last_hidden_state.mean(dim=1))
    merged = backbone.encoder.layers[1].downsample(blocks[1].permute(0, 2, 3, 1))
    assert close(merged.permute(0, 3, 1, 2), found.reshaped_hidden_states[1])
    if task == "ForImageClassification":
        assert close(backbone.logits(images), network(normed).logits)
    if task == "ForMaskedImageModeling":
        mask = torch.rand(2, 8, 8) > 0.5
        theirs = network(normed, bool_masked_pos=mask.flatten(1)).reconstruction
        assert close(backbone.masked(images, mask).reconstruction, theirs)
