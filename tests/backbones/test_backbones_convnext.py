"""ConvNeXt and ConvNeXt V2: published names against the networks written out, timm's networks."""

import pytest
import timm
import torch
from timm.models.convnext import ConvNeXt

import backbones
from backbones.formats.convnext import KERNELS, VECTORS, _renamed
from backbones.timm_names import architecture
from harness.testing import check_backbone
from tests.backbones import convnext_reference as reference

DEPTHS, DIMS = (1, 2, 3, 1), (8, 12, 16, 24)
KINDS = {"v1": (False, 5), "v2": (True, 5), "v2_fcmae": (True, 0)}


@pytest.fixture(params=KINDS)
def case(request, tmp_path):
    grn, head = KINDS[request.param]
    state = reference.make(DEPTHS, DIMS, grn, head)
    torch.save({"model": state}, tmp_path / "convnext.pth")
    return state, tmp_path / "convnext.pth"


def test_published_names(case, close):
    state, path = case
    keep = ("head",) if "head.weight" in state else ()
    backbone = backbones.load(path, input_size=64, keep=keep)
    assert backbone.key_report.format == "convnext"
    images = torch.rand(2, 3, 64, 64)
    after = reference.dense_stages(state, (images - backbone.mean) / backbone.std)
    blocks = backbone.blocks(images)
    assert len(blocks) == sum(DEPTHS)
    for ours, theirs in zip(blocks, after, strict=True):
        assert close(ours, theirs)
    ends = [sum(DEPTHS[: i + 1]) - 1 for i in range(4)]
    for ours, end in zip(backbone(images), ends, strict=True):
        assert torch.equal(ours, blocks[end])
    mean = after[-1].mean(dim=(2, 3), keepdim=True)
    if not keep:
        assert not any(n.startswith("encoder.norm") for n in backbone.state_dict())
        assert torch.equal(backbone.encode(images), blocks[-1])
        fresh = torch.nn.functional.layer_norm(mean.flatten(1), (24,), eps=1e-6)
        assert close(backbone.pooled(images), fresh)
        assert set(backbone.key_report.created) == {"fc_norm.weight", "fc_norm.bias"}
        return
    assert close(backbone.encode(images), reference._norm(state, "norm", after[-1]))
    pooled = reference._norm(state, "norm", mean).flatten(1)
    assert close(backbone.pooled(images), pooled)
    assert close(backbone.logits(images), pooled @ state["head.weight"].T + state["head.bias"])


@pytest.fixture
def fcmae(tmp_path):
    state = reference.as_fcmae(reference.make(DEPTHS, DIMS, True, 0), decoder=20)
    torch.save({"model": state, "epoch": 3}, tmp_path / "fcmae.pth")
    return state, tmp_path / "fcmae.pth"


def test_sparse_layouts_are_the_dense_network(fcmae, tmp_path):
    dense = reference.make(DEPTHS, DIMS, True, 0)
    torch.save({"model": dense}, tmp_path / "dense.pth")
    ours = backbones.load(fcmae[1])
    assert ours.parameters_sha256() == backbones.load(tmp_path / "dense.pth").parameters_sha256()
    report = ours.key_report
    assert len(report.converted[KERNELS]) == sum(DEPTHS) + 3
    assert len(report.converted[VECTORS]) == 3 * sum(DEPTHS) + 3
    assert sum(map(len, report.dropped.values())) == len(
        [n for n in fcmae[0] if "encoder" not in n]
    )
    assert ours.spec.objective == "fcmae"


def test_masked_features_are_those_of_sparse_convolution(fcmae, close):
    state, path = fcmae
    backbone = backbones.load(path, input_size=(64, 96), keep=("decoder",))
    images = torch.rand(2, 3, 64, 96)
    mask = torch.tensor([[[1, 0, 1], [0, 1, 0]], [[0, 0, 1], [1, 1, 0]]], dtype=torch.bool)
    normalised = (images - backbone.mean) / backbone.std
    features, reconstruction = backbone.masked(images, mask)
    theirs = torch.stack(
        [reference.sparse_features(state, *pair) for pair in zip(normalised, mask, strict=True)]
    )
    assert close(features, theirs)
    hidden = mask.unsqueeze(1).float()
    x = torch.einsum("oc,bchw->bohw", state["proj.weight"][..., 0, 0], theirs)
    x = x + state["proj.bias"].view(1, -1, 1, 1)
    x = x * (1 - hidden) + state["mask_token"] * hidden
    x = reference.dense_block(state, "decoder.0", x)
    cells = torch.einsum("oc,bchw->bhwo", state["pred.weight"][..., 0, 0], x) + state["pred.bias"]
    for row in range(2):
        for column in range(3):
            cell = cells[:, row, column].view(2, 32, 32, 3).permute(0, 3, 1, 2)
            place = slice(32 * row, 32 * row + 32), slice(32 * column, 32 * column + 32)
            assert close(reconstruction[:, :, place[0], place[1]], cell)


def test_nothing_masked_is_the_encoder_itself(fcmae, close):
    backbone = backbones.load(fcmae[1], input_size=64, keep=("decoder",))
    images = torch.rand(1, 3, 64, 64)
    seen = torch.zeros(1, 2, 2, dtype=torch.bool)
    assert close(backbone.masked(images, seen).features, backbone.encode(images))


def test_masked_pixels_have_no_influence(fcmae):
    backbone = backbones.load(fcmae[1], input_size=(70, 45), keep=("decoder",))
    images, mask = torch.rand(1, 3, 70, 45), torch.zeros(1, 3, 2, dtype=torch.bool)
    mask[:, 0, 0] = True
    changed = images.clone()
    changed[:, :, :32, :32] = 0
    one, other = backbone.masked(images, mask), backbone.masked(changed, mask)
    assert torch.equal(one.features, other.features)
    assert one.reconstruction.shape == images.shape
    for wrong in (mask.float(), mask[:, :2]):
        with pytest.raises(ValueError, match=r"bool mask of shape \(1, 3, 2\)"):
            backbone.masked(images, wrong)
    with pytest.raises(backbones.LoadError, match=r"keep=\('decoder',\)"):
        backbones.load(fcmae[1]).masked(images, mask)


TIMM = [
    {"use_grn": True, "ls_init_value": None},
    {"conv_mlp": True},
    {"head_norm_first": True, "conv_mlp": True},
    {"kernel_sizes": 5, "num_classes": 0},
]


@pytest.mark.parametrize("more", TIMM, ids=str)
def test_networks_of_timm(more, tmp_path, close):
    model = ConvNeXt(depths=DEPTHS, dims=DIMS, **{"num_classes": 4} | more).eval()
    for parameter in model.parameters():
        parameter += 0.2 * torch.randn_like(parameter)
    torch.save(model.state_dict(), tmp_path / "timm.pth")
    keep = ("head",) if model.num_classes else ()
    backbone = backbones.load(tmp_path / "timm.pth", input_size=96, keep=keep)
    assert backbone.key_report.format == "timm"
    images = torch.rand(2, 3, 96, 96)
    normalised = (images - backbone.mean) / backbone.std
    for ours, theirs in zip(
        backbone(images), model.forward_intermediates(normalised)[1], strict=True
    ):
        assert close(ours, theirs)
    assert close(backbone.pooled(images), model.forward_head(
        model.forward_features(normalised), pre_logits=True))  # fmt: skip
    if keep:
        assert close(backbone.logits(images), model(normalised))


@pytest.mark.parametrize("name", ["convnext_base.fb_in1k", "convnextv2_base.fcmae"])
def test_names_of_timm(name):
    arch = architecture(name)
    assert arch["format"] == "timm"
    assert arch["image_size"] == (224, 224)
    assert arch["norm_eps"] == timm.create_model("convnext_atto").stem[1].eps


@pytest.mark.parametrize("kind", ["dense", "fcmae"])
def test_one_tensor_broken_is_refused(kind, tmp_path, refused):
    state = reference.make((1, 1, 2, 1), DIMS, kind == "fcmae", 0 if kind == "fcmae" else 5)
    state = reference.as_fcmae(state, 20) if kind == "fcmae" else state
    keep = ("decoder",) if kind == "fcmae" else ("head",)
    names = [name for name in state if "stages.1." not in name][::3]
    for name in names:
        value = state[name]
        rest = {n: v for n, v in state.items() if n != name}
        for mutant in (
            rest,
            rest | {f"{name}_": value},
            rest | {name: value[..., :-1]},
            rest | {name: value.to(torch.int32)},
            rest | {name: torch.full_like(value, torch.nan)},
        ):
            torch.save({"model": mutant}, tmp_path / "mutant.pth")
            refused(tmp_path / "mutant.pth", r"\S", keep=keep)


@pytest.mark.parametrize("size", [64, (70, 45), 17], ids=str)
@pytest.mark.parametrize("arch", [{}, {"grn": True}, {"grn": True, "final_norm": False}], ids=str)
def test_contract(arch, size):
    arch = {"depths": DEPTHS, "dims": DIMS, "layer_scale": 1.0} | arch
    with torch.enable_grad():
        check_backbone(backbones.create("convnext", arch, size, seed=0))


def test_odd_maps_are_padded_with_what_the_convolution_ignores(case):
    """A size that 32 does not divide has the features of the same image on a larger canvas of the
    mean colour as far as convolutions do not look across its edge: here with 1x1 kernels."""
    state, path = case
    for name, value in state.items():
        if name.endswith("dwconv.weight"):
            centre = torch.zeros_like(value)
            centre[..., 3, 3] = value[..., 3, 3]
            value.copy_(centre)
        elif ".grn." in name:
            value.zero_()
    torch.save({"model": state}, path)
    small, large = (backbones.load(path, input_size=side) for side in (36, 64))
    images = small.mean.expand(1, 3, 64, 64).clone()
    images[..., :36, :36] = torch.rand(1, 3, 36, 36)
    found = small(images[..., :36, :36])
    whole = large(images)
    assert [m.shape[-1] for m in found] == [9, 5, 3, 2]
    assert torch.allclose(found[0], whole[0][..., :9, :9], atol=1e-5)
    assert torch.allclose(found[1][..., :4, :4], whole[1][..., :4, :4], atol=1e-4)


def test_without_attention_one_line_says_so():
    backbone = backbones.create("convnext", {"depths": DEPTHS, "dims": DIMS}, 32, 0)
    with pytest.raises(backbones.LoadError, match="no attention to look at") as caught:
        backbone.attention(torch.rand(1, 3, 32, 32))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("output", ["forward", "encode", "pooled", "logits", "masked"])
@pytest.mark.parametrize("final", [True, False])
def test_unused_names_are_those_without_gradient(output, final):
    arch = {"depths": DEPTHS, "dims": DIMS, "grn": True, "decoder_embed_dim": 8}
    arch |= {"final_norm": final, "num_classes": 3 * final}
    keep = ("decoder", "head") if final else ("decoder",)
    if output == "logits" and not final:
        pytest.skip("a classifier needs its norm")
    backbone = backbones.create("convnext", arch, 64, 0, keep=keep)
    images, mask = torch.rand(2, 3, 64, 64), torch.zeros(2, 2, 2, dtype=torch.bool)
    mask[:, 0] = True
    with torch.enable_grad():
        result = getattr(backbone, output)(images, *[mask] * (output == "masked"))
        result = {"forward": lambda r: r[-1], "masked": lambda r: r[1]}.get(output, lambda r: r)(
            result
        )
        (result * torch.rand_like(result)).sum().backward()
    without = {name for name, p in backbone.named_parameters() if p.grad is None}
    assert without == backbone.unused_names(output)


def published_layer(name, depths):
    """optim_factory.py of ConvNeXt (27 blocks) and of ConvNeXt-V2 ("single"), in one table."""
    parts = name.split(".")
    grouped = depths[2] == 27
    if parts[0] == "downsample_layers":
        stage = int(parts[1])
        return {0: 0, 1: 2, 2: 3, 3: 12}[stage] if grouped else sum(depths[:stage]) + 1
    if parts[0] == "stages":
        stage, block = int(parts[1]), int(parts[2])
        if grouped:
            return {0: 1, 1: 2, 2: 3 + block // 3, 3: 12}[stage]
        return sum(depths[:stage]) + block + 1
    return 13 if grouped else sum(depths) + 1


@pytest.mark.parametrize("depths", [(3, 3, 27, 3), (2, 2, 6, 2)])
def test_layer_numbers(depths, tmp_path):
    state = reference.make(depths, (2, 2, 2, 2), True, 3)
    torch.save({"model": state}, tmp_path / "deep.pth")
    backbone = backbones.load(tmp_path / "deep.pth", input_size=32, keep=("head",))
    ids = backbone.layer_ids()
    assert ids == {_renamed(name): published_layer(name, depths) for name in state}
    assert backbone.last_layer == published_layer("head.weight", depths)
    assert set(backbone.layer_ids("mae_pretrain").values()) == {backbone.last_layer}
    decayed = {n for n, p in backbone.named_parameters() if p.ndim > 1}
    assert decayed == set(ids) - backbone.no_decay_names()


def test_removed_blocks(case):
    _, path = case
    backbone = backbones.load(path, input_size=64, drop_last=2)
    assert backbone.spec.arch["depths"] == (1, 2, 1, 1)
    assert len(backbone.blocks(torch.rand(1, 3, 64, 64))) == 5
    with pytest.raises(backbones.LoadError, match="0 to 2 of the 3 blocks of stage 3, got 3"):
        backbones.load(path, drop_last=3)


def test_our_own_file(fcmae, tmp_path):
    ours = backbones.load(fcmae[1], input_size=64, keep=("decoder",))
    backbones.save(ours, tmp_path / "own.safetensors", {}, dtype=torch.float32)
    again = backbones.load(tmp_path / "own.safetensors", keep=("decoder",))
    images, mask = torch.rand(1, 3, 64, 64), torch.ones(1, 2, 2, dtype=torch.bool)
    mask[:, 0] = False
    assert torch.equal(ours.masked(images, mask)[1], again.masked(images, mask)[1])


def test_initialisation_and_drop_path():
    arch = {"depths": DEPTHS, "dims": DIMS}
    one, same, other = (backbones.create("convnext", arch, 32, seed) for seed in (1, 1, 2))
    assert one.parameters_sha256() == same.parameters_sha256() != other.parameters_sha256()
    assert (one.encoder.stages[2].blocks[1].gamma == 1e-6).all()
    dropping = backbones.create("convnext", arch | {"layer_scale": 1.0}, 32, 0, drop_path=0.5)
    rates = [b.drop_path.rate for s in dropping.encoder.stages for b in s.blocks]
    assert rates == pytest.approx([0.5 * i / 6 for i in range(7)])
    dropping.train().set_sample_keys(torch.arange(4))
    images = torch.rand(4, 3, 32, 32)
    whole = dropping.encode(images)
    dropping.set_sample_keys(torch.tensor([2]))
    assert torch.allclose(dropping.encode(images[2:3]), whole[2:3], atol=1e-5)
