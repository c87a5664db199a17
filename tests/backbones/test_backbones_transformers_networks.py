"""Files of Hugging Face transformers give the outputs of its networks, with random weights."""

import pytest
import torch

import backbones

library = pytest.importorskip(
    "transformers", reason="transformers is not installed; key names are held without it"
)

SHAPE = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3,
         "image_size": 48, "patch_size": 8}  # fmt: skip
ARCH = {"num_heads": 3}
MLP = {"intermediate_size": 48}
CASES = {
    "ViTModel": ("ViTConfig", MLP),
    "ViTForImageClassification": ("ViTConfig", MLP),
    "ViTForMaskedImageModeling": ("ViTConfig", MLP | {"encoder_stride": 8}),
    "BeitModel": ("BeitConfig", MLP | {"use_relative_position_bias": True}),
    "BeitForImageClassification": ("BeitConfig", MLP | {"use_relative_position_bias": True}),
    "BeitForMaskedImageModeling": (
        "BeitConfig",
        MLP | {"use_shared_relative_position_bias": True, "use_mask_token": True, "vocab_size": 30},
    ),
    "Dinov2Model": ("Dinov2Config", {"mlp_ratio": 2}),
    "Dinov2ForImageClassification": ("Dinov2Config", {"mlp_ratio": 2, "use_swiglu_ffn": True}),
    "Dinov2WithRegistersModel": ("Dinov2WithRegistersConfig", {"mlp_ratio": 2}),
}


@pytest.fixture(scope="module", params=CASES)
def case(request, tmp_path_factory):
    """A network, its outputs' images, and its file."""
    config, more = CASES[request.param]
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        network = getattr(library, request.param)(getattr(library, config)(**SHAPE, **more)).eval()
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    folder = tmp_path_factory.mktemp("hf")
    network.save_pretrained(folder)
    return network, folder / "model.safetensors"


def outputs(network, images):
    base = next((m for n, m in network.named_children() if n in ("vit", "beit", "dinov2")), network)
    return base(images, output_hidden_states=True)


@pytest.mark.parametrize("saved", [True, False])
def test_features(case, saved, tmp_path, close):
    network, path = case
    if not saved:
        if any("up_proj" in name for name in network.state_dict()):
            pytest.skip("gated layers are apart in memory")
        path = tmp_path / "state.pth"
        torch.save(network.state_dict(), path)
    backbone = backbones.load(path, arch=ARCH)
    assert backbone.key_report.format == "transformers"
    images = torch.rand(2, 3, 48, 48)
    theirs = outputs(network, (images - backbone.mean) / backbone.std)
    blocks = backbone.blocks(images)
    for ours, reference in zip(blocks[:-1], theirs.hidden_states[1:-1], strict=True):
        assert close(ours, reference)
    last = theirs.last_hidden_state
    if isinstance(network, library.BeitForMaskedImageModeling):
        last = network.layernorm(last)
    assert close(backbone.encode(images), backbone.as_map(last))


def test_logits(case, close):
    network, path = case
    if not isinstance(
        network, library.ViTForImageClassification | library.BeitForImageClassification
    ):
        pytest.skip("no classifier of one kind with ours")
    backbone = backbones.load(path, arch=ARCH, keep=("head",))
    images = torch.rand(2, 3, 48, 48)
    normed = (images - backbone.mean) / backbone.std
    assert close(backbone.logits(images), network(normed).logits)


def test_pooled_of_the_library(case, close):
    network, path = case
    if not isinstance(network, library.BeitModel | library.Dinov2Model):
        pytest.skip("pooled through a layer of its own, or not at all")
    backbone = backbones.load(path, arch=ARCH)
    images = torch.rand(2, 3, 48, 48)
    theirs = network((images - backbone.mean) / backbone.std).pooler_output
    assert close(backbone.pooled(images), theirs)


def test_shards_of_the_library(case, tmp_path):
    network, path = case
    network.save_pretrained(tmp_path, max_shard_size="20KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    whole, shards = (backbones.load(file, arch=ARCH) for file in (path, tmp_path))
    assert shards.parameters_sha256() == whole.parameters_sha256()


def test_masked(case, close):
    network, path = case
    if not hasattr(network, "lm_head"):
        pytest.skip("no head for visual tokens")
    backbone = backbones.load(path, arch=ARCH, keep=("decoder",))
    images, mask = torch.rand(2, 3, 48, 48), torch.rand(2, 6, 6) > 0.5
    normed = (images - backbone.mean) / backbone.std
    scores = network(normed, bool_masked_pos=mask.flatten(1)).logits
    assert close(backbone.masked(images, mask)[1].flatten(2).transpose(1, 2), scores)
