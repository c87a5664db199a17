"""ViTPose's encoders, under its own names and under mmpose's: the network written out again."""

import json
import re

import pytest
import torch
from torch.nn import functional

import backbones
from backbones.formats.mmpose import WITHOUT_ROW
from backbones.formats.vitpose import JOINED_ROW, UNUSED_TOKEN
from harness.testing import check_backbone

WIDTH, DEPTH, HEADS = 32, 2, 4
ARCH = {"num_heads": HEADS}
WITHOUT_TOKEN = {"class_token": False, "pool": "mean"}
SIZE = (256, 192)
TO_MMPOSE = [
    (r"^patch_embed\.proj\.", "patch_embed.projection."),
    (r"^last_norm\.", "ln1."),
    (r"^blocks\.", "layers."),
    (r"\.norm([12])\.", r".ln\1."),
    (r"\.mlp\.fc1\.", ".ffn.layers.0.0."),
    (r"\.mlp\.fc2\.", ".ffn.layers.1."),
]
HEADS_OF = {
    "vitpose": {"keypoint_head.deconv_layers.0.weight": torch.ones(32, 2, 4, 4)},
    "mmpose": {"head.final_layer.weight": torch.ones(2, 32, 1, 1)},
}


def network(images, state, grid=(16, 12), padding=2):
    """The normed map (B,C,h,w) of ViTPose's network, and the tokens after every block.

    Its table is that of 16x12 places and one before them, which is added to all of them.
    """
    tokens = functional.conv2d(
        images,
        state["patch_embed.proj.weight"],
        state["patch_embed.proj.bias"],
        stride=16,
        padding=padding,
    )
    assert tokens.shape[2:] == grid
    table = state["pos_embed"][:, 1:].reshape(1, 16, 12, WIDTH).permute(0, 3, 1, 2)
    if grid != (16, 12):
        table = functional.interpolate(table, size=grid, mode="bicubic")
    x = (tokens + table).flatten(2).transpose(1, 2) + state["pos_embed"][:, :1]
    after = []
    for i in range(DEPTH):
        p = {n.removeprefix(f"blocks.{i}."): v for n, v in state.items() if f"blocks.{i}." in n}
        y = normed(x, p, "norm1") @ p["attn.qkv.weight"].T + p["attn.qkv.bias"]
        q, k, v = y.reshape(len(x), -1, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-2, -1) / (WIDTH // HEADS) ** 0.5).softmax(dim=-1)
        y = (weights @ v).transpose(1, 2).flatten(2)
        x = x + y @ p["attn.proj.weight"].T + p["attn.proj.bias"]
        y = normed(x, p, "norm2") @ p["mlp.fc1.weight"].T + p["mlp.fc1.bias"]
        y = 0.5 * y * (1 + torch.erf(y / 2**0.5))
        x = x + y @ p["mlp.fc2.weight"].T + p["mlp.fc2.bias"]
        after.append(x)
    return normed(x, state, "last_norm").transpose(1, 2).reshape(len(x), WIDTH, *grid), after


def normed(x, state, name):
    x = x - x.mean(dim=-1, keepdim=True)
    x = x / (x.square().mean(dim=-1, keepdim=True) + 1e-6).sqrt()
    return x * state[f"{name}.weight"] + state[f"{name}.bias"]


@pytest.fixture(scope="module")
def state():
    """A state dict of random numbers, as ViTPose's network has it."""
    random = torch.Generator().manual_seed(0)
    shapes = {"pos_embed": (1, 193, WIDTH), "patch_embed.proj.weight": (WIDTH, 3, 16, 16)}
    shapes |= {"patch_embed.proj.bias": (WIDTH,)}
    for layer in ("last_norm", *(f"blocks.{i}.norm{n}" for i in range(DEPTH) for n in (1, 2))):
        shapes |= {f"{layer}.weight": (WIDTH,), f"{layer}.bias": (WIDTH,)}
    for layer, out, width in (
        ("attn.qkv", 3 * WIDTH, WIDTH),
        ("attn.proj", WIDTH, WIDTH),
        ("mlp.fc1", 4 * WIDTH, WIDTH),
        ("mlp.fc2", WIDTH, 4 * WIDTH),
    ):
        for i in range(DEPTH):
            shapes |= {
                f"blocks.{i}.{layer}.weight": (out, width),
                f"blocks.{i}.{layer}.bias": (out,),
            }
    return {
        name: 0.5 * torch.randn(shape, generator=random) / max(1, len(shape) * 2 - 2)
        for name, shape in shapes.items()
    }


def of_mmpose(state, token=False):
    """The same encoder as mmpretrain's network has it; with what mmcls's had beside it."""
    theirs = {}
    for name, value in state.items():
        for pattern, new in TO_MMPOSE:
            name = re.sub(pattern, new, name)
        theirs[name] = value
    table = state["pos_embed"][:, 1:] + state["pos_embed"][:, :1]
    if token:
        table = torch.cat([torch.full((1, 1, WIDTH), 7.0), table], dim=1)
        theirs["cls_token"] = torch.full((1, 1, WIDTH), 9.0)
    return theirs | {"pos_embed": table}


def saved(folder, state, prefix="backbone.", **more):
    tensors = {prefix + name: value for name, value in state.items()}
    torch.save({"meta": {}, "state_dict": tensors | more}, folder / "pose.pth")
    return folder / "pose.pth"


def files(state):
    """Format, tensors of the encoder, and the rules by which some were converted and dropped."""
    token = {"cls_token": torch.ones(1, 1, WIDTH)}
    return {
        "vitpose": ("vitpose", state, {JOINED_ROW}, set()),
        "vitpose with token": ("vitpose", state | token, {JOINED_ROW}, {UNUSED_TOKEN}),
        "mmpose": ("mmpose", of_mmpose(state), set(), set()),
        "mmpose of mmcls": ("mmpose", of_mmpose(state, True), {WITHOUT_ROW}, {UNUSED_TOKEN}),
    }


@pytest.mark.parametrize("kind", ["vitpose", "vitpose with token", "mmpose", "mmpose of mmcls"])
def test_the_network_written_out(kind, state, tmp_path, close):
    """With a head and `backbone.` before the names, and without either, at its own size."""
    layout, tensors, converted, dropped = files(state)[kind]
    images = torch.rand(2, 3, *SIZE, generator=torch.Generator().manual_seed(1))
    double = {name: value.double() for name, value in state.items()}
    head = HEADS_OF[layout]
    for path in (saved(tmp_path, tensors, **head), saved(tmp_path, tensors, prefix="")):
        backbone = backbones.load(path, arch=ARCH)
        report = backbone.key_report
        assert (report.format, backbone.input_size) == (layout, SIZE)
        assert set(report.converted) == converted and not report.created
        assert set(report.dropped) - dropped <= {"head for heat maps", "head of mmpose"}
    assert dropped <= set(report.dropped)
    normalised = ((images - backbone.mean) / backbone.std).double()
    reference, after = network(normalised, double)
    assert close(backbone.encode(images), reference.float())
    assert all(close(a, b.float()) for a, b in zip(backbone.blocks(images), after, strict=True))
    assert close(backbone.pooled(images), reference.float().mean(dim=(2, 3)))


def test_at_another_size_and_without_padding(state, tmp_path, close):
    """288x100: more rows than in the table, and a width that 16 does not divide."""
    images = torch.rand(1, 3, 288, 100)
    double = {name: value.double() for name, value in state.items()}
    path = saved(tmp_path, state)
    padded, bare = (
        backbones.load(path, input_size=(288, 100), arch=ARCH | more)
        for more in ({}, {"patch_padding": 0})
    )
    normalised = functional.pad((images - padded.mean) / padded.std, (0, 12)).double()
    for backbone, padding in ((padded, 2), (bare, 0)):
        reference, _ = network(normalised, double, (18, 7), padding)
        assert close(backbone.encode(images), reference.float())
    assert not close(bare.encode(images), padded.encode(images))
    assert "patch_padding=0 as given" in bare.spec.notes
    assert padded.key_report.converted == {
        "position table 16x12 to 18x7, bicubic": ("backbone.pos_embed",)
    }
    mmpose = backbones.load(saved(tmp_path, of_mmpose(state)), input_size=(288, 100), arch=ARCH)
    assert close(mmpose.encode(images), padded.encode(images))


def test_what_no_file_tells_is_said(state, tmp_path):
    notes = backbones.load(saved(tmp_path, state), arch=ARCH).spec.notes
    for said in (
        "patch_padding=2",
        "16x12, of images of 256x192",
        JOINED_ROW,
        "mean of the normed",
    ):
        assert any(said in note for note in notes), said
    theirs = saved(tmp_path, of_mmpose(state, True))
    spec = backbones.load(theirs, arch=ARCH).spec
    assert any("class token of the file" in note for note in spec.notes)
    assert spec.objective == "unknown"
    assert backbones.load(saved(tmp_path, state), arch=ARCH).spec.objective == "pose"


def test_a_token_that_is_used_has_to_be_said(state, tmp_path):
    path = saved(tmp_path, of_mmpose(state, True))
    named = ARCH | {"format": "openmmlab", "image_size": SIZE}
    backbone = backbones.load(path, arch=named)
    assert (backbone.prefix, backbone.padding) == (1, 0)


def test_heads_of_the_small_one(state, tmp_path):
    """Twelve for a width of 384; half as many in DeiT, and in mmpretrain."""
    small = {
        name: value.new_zeros([side * 12 if side % WIDTH == 0 else side for side in value.shape])
        for name, value in state.items()
    }
    for tensors in (small, of_mmpose(small)):
        spec = backbones.load(saved(tmp_path, tensors)).spec
        assert (spec.arch["embed_dim"], spec.arch["num_heads"]) == (384, 12)


def test_tables_of_other_sizes(state, tmp_path, refused):
    """A square is taken for one; of others the size has to be given."""
    for places, size in ((256, None), (54, (144, 96))):
        other = state | {"pos_embed": torch.ones(1, 1 + places, WIDTH)}
        for tensors in (other, of_mmpose(other), of_mmpose(other, True)):
            path = saved(
                tmp_path, tensors, **HEADS_OF["mmpose" if "ln1.bias" in tensors else "vitpose"]
            )
            if size:
                refused(path, f"{places} places, which is no square.*image_size", arch=ARCH)
            given = {"image_size": size} if size else {}
            assert backbones.load(path, arch=ARCH | given).input_size == (size or (256, 256))


def test_experts(state, tmp_path, refused):
    """Apart from their layer; in it and beside it, as the authors' tool leaves them in one file."""
    experts = {f"blocks.{i}.mlp.experts.3.weight": torch.ones(8, 4 * WIDTH) for i in range(DEPTH)}
    other = {"associate_keypoint_heads.0.final_layer.bias": torch.ones(2)}
    whole = backbones.load(saved(tmp_path, state | experts, **other), arch=ARCH)
    assert sum(map(len, whole.key_report.dropped.values())) == DEPTH + 1
    apart = {n: v[:24] if ".mlp.fc2." in n else v for n, v in state.items()} | experts
    refused(saved(tmp_path, apart, **other), "an expert for each data set", arch=ARCH)


@pytest.mark.parametrize("layout", ["vitpose", "mmpose"])
def test_one_tensor_broken_is_refused(layout, state, tmp_path, refused):
    tensors = state if layout == "vitpose" else of_mmpose(state)
    head = HEADS_OF[layout]
    for name, value in tensors.items():
        if ".1." in name:
            continue
        rest = {n: v for n, v in tensors.items() if n != name}
        for mutant in (rest, rest | {f"{name}_": value}, rest | {name: value[..., :-1]}):
            refused(saved(tmp_path, mutant, **head), r"\S", arch=ARCH)


def test_another_network_around_it_is_not_taken_for_it(state, tmp_path, refused):
    refused(saved(tmp_path, state, **{"mesh_head.weight": torch.ones(2)}), "no known layout")
    other = {name.replace("last_norm", "norm"): value for name, value in state.items()}
    refused(saved(tmp_path, other, **HEADS_OF["vitpose"]), "no known layout", arch=ARCH)


def test_layers_are_those_of_the_published_code(fixtures):
    """ViTPose's own optimiser: number of the layer, and whether its weights decay."""
    file = fixtures / "layer_ids" / "vitpose_base.json"
    rows = {
        "encoder." + name.removeprefix("backbone.").replace("last_norm", "norm"): row
        for name, row in json.loads(file.read_text()).items()
        if name.startswith("backbone.")
    }
    arch = {"embed_dim": 12, "depth": 12, "num_heads": 1, "patch_size": 16, "patch_padding": 2}
    model = backbones.create("vit", arch | WITHOUT_TOKEN, 32, 0)
    assert model.layer_ids("vitpose") == {name: row[0] for name, row in rows.items()}
    assert model.no_decay_names("vitpose") == {name for name, row in rows.items() if not row[2]}


def test_patches_begin_outside_the_image(tiny):
    """By two pixels: what the first and the last see, and where they lie in the input."""
    backbone = tiny("vit", (40, 24), arch={"patch_padding": 2} | WITHOUT_TOKEN)
    places = next(iter(backbone.attention(torch.rand(1, 3, 40, 24)))).query_positions
    assert places[0].tolist() == [2, 2]
    assert places[-1].tolist() == [18, 34]
    with torch.enable_grad():
        images = torch.rand(1, 3, 40, 24, requires_grad=True)
        for patch, (top, left, bottom, right) in ((0, (0, 0, 5, 5)), (-1, (30, 14, 37, 21))):
            (seen,) = torch.autograd.grad(backbone.patches(images)[0, patch].sum(), images)
            pixels = seen[0].ne(0).any(dim=0).nonzero()
            assert pixels.amin(dim=0).tolist() == [top, left]
            assert pixels.amax(dim=0).tolist() == [bottom, right]


@pytest.mark.parametrize("size", [(48, 32), (35, 21)], ids=str)
def test_contract(size, tiny):
    backbone = tiny("vit", size, arch={"patch_padding": 2} | WITHOUT_TOKEN)
    with torch.enable_grad():
        check_backbone(backbone)


def test_masked_input_and_half_a_patch_are_refused(tiny):
    with pytest.raises(backbones.LoadError, match=r"there is no masked input.*patch_padding=0"):
        tiny("vit", 32, arch={"patch_padding": 2}, keep=("decoder",))
    with pytest.raises(backbones.LoadError, match="less than half of the patch, 8 pixels, got 4"):
        tiny("vit", 32, arch={"patch_padding": 4})


def test_round_trip(state, tmp_path):
    backbone = backbones.load(saved(tmp_path, state), input_size=(64, 48), arch=ARCH)
    backbones.save(backbone, tmp_path / "own.safetensors", {}, dtype=torch.float32)
    again = backbones.load(tmp_path / "own.safetensors")
    images = torch.rand(1, 3, 64, 48)
    assert again.padding == 2
    assert torch.equal(again.encode(images), backbone.encode(images))
