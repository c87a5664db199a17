"""DINOv3 and Hiera of Hugging Face transformers, under the publishers' names, give its outputs."""

import re

import pytest
import torch
from torch.nn import functional

import backbones
from tests.backbones.hieras import DEPTHS, saved

library = pytest.importorskip(
    "transformers", reason="transformers is not installed; the networks are written out beside"
)

DINOV3 = {
    r"embeddings\.register_tokens": "storage_tokens",
    r"embeddings\.patch_embeddings": "patch_embed.proj",
    r"embeddings\.": "",
    r"(?:model\.)?layer\.(\d+)\.": r"blocks.\1.",
    r"attention\.o_proj": "attn.proj",
    r"layer_scale(\d)\.lambda1": r"ls\1.gamma",
    r"mlp\.up_proj": "mlp.fc1",
    r"mlp\.down_proj": "mlp.fc2",
}
HIERA = {
    r"hiera\.embeddings\.position_embeddings": "pos_embed",
    r"hiera\.embeddings\.patch_embeddings\.projection": "patch_embed.proj",
    r"layernorm_before": "norm1",
    r"layernorm_after": "norm2",
    r"multiscale_fusion\.": "",
    r"decoder\.decoder_block\.layers\.": "decoder_blocks.",
    r"decoder\.mask_token": "mask_token",
    r"decoder\.decoder_position_embeddings": "decoder_pos_embed",
    r"decoder\.decoder_embeddings": "decoder_embed",
    r"decoder\.decoder_": "decoder_",
}


def noisy(network):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return network.eval()


def renamed(network, rules):
    tensors = {}
    for name, value in network.state_dict().items():
        for theirs, ours in rules.items():
            name = re.sub(theirs, ours, name)
        tensors[name] = value
    return tensors


def test_dinov3(tmp_path, close):
    config = library.DINOv3ViTConfig(
        hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=48,
        image_size=32, patch_size=8, num_register_tokens=4, layerscale_value=0.5, key_bias=False,
    )  # fmt: skip
    network = noisy(library.DINOv3ViTModel(config))
    tensors = renamed(network, DINOV3)
    tensors["mask_token"] = tensors["mask_token"][0]
    for i in range(2):
        parts = [f"blocks.{i}.attention.{n}_proj" for n in "qkv"]
        joined = torch.cat([tensors.pop(f"{part}.weight") for part in parts])
        tensors[f"blocks.{i}.attn.qkv.weight"] = joined
        query, value = (tensors.pop(f"{parts[j]}.bias") for j in (0, 2))
        # What a mask takes out may be anything.
        tensors[f"blocks.{i}.attn.qkv.bias"] = torch.cat([query, torch.ones(24), value])
        tensors[f"blocks.{i}.attn.qkv.bias_mask"] = torch.ones(3, 24).index_fill(
            0, torch.tensor(1), 0
        ).flatten()  # fmt: skip
    tensors["rope_embed.periods"] = 100 ** (torch.arange(2) / 2)
    torch.save(tensors, tmp_path / "dinov3.pth")
    backbone = backbones.load(tmp_path / "dinov3.pth", (32, 48))
    assert backbone.key_report.format == "dinov3"
    images = torch.rand(2, 3, 32, 48)
    theirs = network((images - backbone.mean) / backbone.std, output_hidden_states=True)
    assert close(backbone.blocks(images)[0], theirs.hidden_states[1])
    assert close(backbone.pooled(images), theirs.pooler_output)
    assert close(backbone.encode(images), backbone.as_map(theirs.last_hidden_state))


def test_hiera(tmp_path, close):
    config = library.HieraConfig(
        embed_dim=8, image_size=[96, 96], depths=list(DEPTHS), num_heads=[1, 2, 4, 8],
        num_query_pool=2, decoder_hidden_size=12, decoder_depth=2, decoder_num_heads=3,
        mask_ratio=0.4,
    )  # fmt: skip
    network = noisy(library.HieraForPreTraining(config))
    starts = [sum(DEPTHS[:i]) for i in range(4)]
    tensors = {
        re.sub(
            r"hiera\.encoder\.stages\.(\d)\.layers\.(\d)",
            lambda m: f"blocks.{starts[int(m[1])] + int(m[2])}",
            name,
        ): value
        for name, value in renamed(network, HIERA).items()
    }
    path = saved(tensors, tmp_path / "hiera.pth")
    arch = {"num_heads": 1, "decoder_num_heads": 3, "q_pool": 2}
    backbone = backbones.load(path, arch=arch, keep=("decoder",))
    assert not backbone.key_report.dropped
    images = torch.rand(2, 3, 96, 96)
    normed = (images - backbone.mean) / backbone.std
    mask = torch.tensor([[1, 0, 1, 0, 0, 1, 0, 1, 0], [0, 0, 0, 1, 1, 1, 0, 0, 1]]).bool()
    theirs = network(normed, noise=mask.float())
    cells = theirs.logits.unflatten(1, (6, 6)).permute(0, 3, 1, 2)
    found = backbone.masked(images, mask.view(2, 3, 3)).reconstruction
    assert close(found, functional.pixel_shuffle(cells, 16))
    unmasked = library.HieraModel(config, add_pooling_layer=False).eval()
    unmasked.load_state_dict(network.hiera.state_dict())
    maps = unmasked(normed, output_hidden_states=True).reshaped_hidden_states
    for ours, reference in zip(backbone(images), maps[-4:], strict=True):
        assert close(ours.movedim(1, -1), reference)
