"""CLIP, SigLIP and I-JEPA give the outputs of open_clip's and transformers' networks, with random
weights; without those libraries the key names and the arithmetic are held by towers.py."""

import pytest
import torch

import backbones
from tests.backbones.towers import error

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 32,
         "patch_size": 8, "intermediate_size": 48}  # fmt: skip
HEADS = {"num_heads": 2}
TEXT = {"context_length": 8, "vocab_size": 30, "width": 32, "heads": 2, "layers": 1}
CASES = {
    "CLIPVisionModel": HEADS | {"act": "quick_gelu"},
    "CLIPVisionModelWithProjection": HEADS | {"act": "quick_gelu"},
    "CLIPModel": HEADS | {"act": "quick_gelu"},
    "SiglipVisionModel": HEADS,
    "SiglipModel": HEADS,
    "IJepaModel": HEADS,
    "IJepaForImageClassification": HEADS,
}


def noisy(network):
    for parameter in network.requires_grad_(False).parameters():
        parameter += 0.1 * torch.randn_like(parameter)
    return network.eval()


def transformers_network(name):
    library = pytest.importorskip("transformers", reason="transformers is not installed")
    kind = next(kind for kind in ("CLIP", "Siglip", "IJepa") if name.startswith(kind))
    if name in ("CLIPModel", "SiglipModel"):
        text = {k: v for k, v in SMALL.items() if k not in ("image_size", "patch_size")}
        text |= {"vocab_size": 30, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
        config = getattr(library, f"{kind}Config")(vision_config=SMALL, text_config=text)
    else:
        suffix = "Config" if kind == "IJepa" else "VisionConfig"
        config = getattr(library, f"{kind}{suffix}")(**SMALL)
    return noisy(getattr(library, name)(config))


@pytest.mark.parametrize("name", CASES)
def test_transformers(name, tmp_path):
    torch.manual_seed(0)
    network = transformers_network(name)
    network.save_pretrained(tmp_path)
    backbone = backbones.load(tmp_path / "model.safetensors", arch=CASES[name])
    images = torch.rand(2, 3, 32, 32)
    tower = getattr(network, "vision_model", getattr(network, "ijepa", network))
    theirs = tower((images - backbone.mean) / backbone.std, output_hidden_states=True)
    states = theirs.hidden_states
    blocks = backbone.blocks(images)
    for ours, reference in zip(blocks[:-1], states[1:-1], strict=True):
        assert error(ours, reference) < 1e-5
    last = theirs.last_hidden_state
    if name.startswith("CLIP"):
        assert error(blocks[-1], last) < 1e-5
        last = tower.post_layernorm(last)
    assert error(backbone.encode(images), backbone.as_map(last)) < 1e-5
    pooled = last.mean(dim=1) if name.startswith("IJepa") else theirs.pooler_output
    assert error(backbone.pooled(images), pooled) < 1e-5


@pytest.mark.parametrize("quick", [True, False])
def test_open_clip(quick, tmp_path):
    library = pytest.importorskip("open_clip", reason="open_clip_torch is not installed")
    torch.manual_seed(0)
    vision = {"image_size": 32, "patch_size": 8, "width": 128, "layers": 2, "head_width": 64}
    network = noisy(library.CLIP(24, vision, TEXT, quick_gelu=quick))
    torch.save({"state_dict": network.state_dict(), "epoch": 1}, tmp_path / "epoch_1.pt")
    arch = {"act": "quick_gelu" if quick else "gelu"}
    backbone = backbones.load(tmp_path / "epoch_1.pt", arch=arch)
    assert backbone.key_report.format == "open_clip"
    images = torch.rand(2, 3, 32, 32)
    normed = (images - backbone.mean) / backbone.std
    found = network.visual.forward_intermediates(normed, output_fmt="NLC", output_extra_tokens=True)
    parts = (found["image_intermediates_prefix"], found["image_intermediates"])
    whole = [torch.cat(pair, dim=1) for pair in zip(*parts, strict=True)]
    for ours, reference in zip(backbone.blocks(images), whole, strict=True):
        assert error(ours, reference) < 1e-5
    final = network.visual.ln_post(whole[-1])
    assert error(backbone.encode(images), backbone.as_map(final)) < 1e-5
    assert error(backbone.pooled(images) @ network.visual.proj, network.visual(normed)) < 1e-5


def test_open_clip_at_another_size(tmp_path):
    library = pytest.importorskip("open_clip", reason="open_clip_torch is not installed")
    torch.manual_seed(0)
    vision = {"patch_size": 8, "width": 64, "layers": 1}
    small, large = (library.CLIP(24, vision | {"image_size": s}, TEXT) for s in (32, 56))
    state = noisy(small).state_dict()
    torch.save(state, tmp_path / "clip.pt")
    backbone = backbones.load(tmp_path / "clip.pt", arch={"act": "gelu"}, input_size=56)
    state = dict(state)
    library.model.resize_pos_embed(state, large)
    assert torch.equal(backbone.encoder.pos_embed[0], state["visual.positional_embedding"])
