"""ViTDet's windows and relative positions against their formulas, and what files go into them."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import backbones
from harness.testing.backbone import check_backbone
from tasks.recipe import BackboneRecipe

RECIPES = Path(__file__).parents[1] / "fixtures" / "recipes" / "layer_ids"
SHAPE = {"embed_dim": 24, "depth": 4, "num_heads": 3, "patch_size": 8}
WINDOWS = {"window_size": 3, "global_blocks": (1, 3), "rel_pos": True}
SIZE = (40, 52)  # 5 x 7 patches, the last column's sticking out; 2 x 3 windows, padded
PUBLISHED = {"window_size": 14, "global_blocks": (2, 5, 8, 11), "rel_pos": True}


def new(size=SIZE, noise=0.2, **arch):
    """A new encoder, all of whose parameters matter."""
    backbone = backbones.create("vit", SHAPE | arch, size, 0)
    random = torch.Generator().manual_seed(1)
    for parameter in backbone.parameters():
        parameter.data += noise * torch.randn(parameter.shape, generator=random)
    backbone.seal()
    return backbone


def images(size=SIZE, count=2):
    return torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(2))


class Definition:
    """The network of one image in float64, query by query."""

    def __init__(self, backbone):
        state = backbone.state_dict()
        self.p = {n.removeprefix("encoder."): v.double().numpy() for n, v in state.items()}
        self.arch, self.grid = backbone.arch, backbone.grid
        self.seen = []

    def normed(self, x, name):
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + self.arch.norm_eps)
        return scaled * self.p[f"{name}.weight"] + self.p[f"{name}.bias"]

    def linear(self, x, name):
        return x @ self.p[f"{name}.weight"].T + self.p[f"{name}.bias"]

    def attended(self, x, name):
        """Attention within a map (h,w,C): its result, and the weights (heads,h,w,h,w)."""
        rows, columns, width = x.shape
        heads = self.arch.num_heads
        parts = self.linear(x, f"{name}.qkv").reshape(rows, columns, 3, heads, width // heads)
        weights = np.zeros((heads, rows, columns, rows, columns))
        out = np.zeros((rows, columns, heads, width // heads))
        for head in range(heads):
            query, key, value = (parts[:, :, i, head] for i in range(3))
            for y, x_ in np.ndindex(rows, columns):
                q = query[y, x_]
                logits = key @ q / np.sqrt(width // heads)
                if self.arch.rel_pos:
                    for v in range(rows):
                        logits[v] += q @ self.p[f"{name}.rel_pos_h"][y - v + rows - 1]
                    for u in range(columns):
                        logits[:, u] += q @ self.p[f"{name}.rel_pos_w"][x_ - u + columns - 1]
                share = np.exp(logits - logits.max())
                weights[head, y, x_] = share / share.sum()
                out[y, x_, head] = np.einsum("vu,vuc->c", weights[head, y, x_], value)
        return self.linear(out.reshape(rows, columns, width), f"{name}.proj"), weights

    def in_windows(self, x, name, side):
        rows, columns, _ = x.shape
        out, seen = np.zeros_like(x), []
        for top in range(0, rows, side):
            for left in range(0, columns, side):
                part = x[top : top + side, left : left + side]
                window = np.zeros((side, side, x.shape[-1]))
                window[: part.shape[0], : part.shape[1]] = part
                found, weights = self.attended(window, name)
                out[top : top + side, left : left + side] = found[: part.shape[0], : part.shape[1]]
                seen.append(((top, left), weights))
        return out, seen

    def blocks(self, embedded):
        """From patch embeddings (N,C) to the map after each block."""
        x = (embedded + self.p["pos_embed"][0]).reshape(*self.grid, -1)
        for i in range(self.arch.depth):
            name = f"blocks.{i}"
            whole = i in self.arch.global_blocks
            normed = self.normed(x, f"{name}.norm1")
            if whole:
                found, weights = self.attended(normed, f"{name}.attn")
                self.seen.append([((0, 0), weights)])
            else:
                found, seen = self.in_windows(normed, f"{name}.attn", self.arch.window_size)
                self.seen.append(seen)
            x = x + found
            hidden = self.linear(self.normed(x, f"{name}.norm2"), f"{name}.mlp.fc1")
            gate = torch.erf(torch.from_numpy(hidden) / 2**0.5).numpy()
            x = x + self.linear(hidden * (1 + gate) / 2, f"{name}.mlp.fc2")
            yield x


@pytest.fixture(scope="module")
def windowed():
    return new(**WINDOWS)


@pytest.fixture(scope="module")
def defined(windowed):
    """The definition's maps after each block, and its attention, for the second image."""
    with torch.no_grad():
        network = Definition(windowed)
        maps = list(network.blocks(windowed.patches(images())[1].double().numpy()))
    return maps, network.seen


def test_every_block_equals_its_definition(windowed, defined):
    """In float64 and query by query; float32 alone leaves some 1e-6."""
    expected, _ = defined
    blocks = windowed.blocks(images())
    assert len(blocks) == len(expected) == 4
    for found, maps in zip(blocks, expected, strict=True):
        difference = np.abs(found[1].double().numpy() - maps.reshape(35, -1)).max()
        assert difference / np.abs(maps).max() < 1e-5
    last = windowed.encode(images())[1].permute(1, 2, 0)
    assert np.allclose(last.numpy(), expected[-1], rtol=0, atol=1e-5 * np.abs(expected[-1]).max())
    assert torch.equal(windowed(images())[0], windowed.encode(images()))


def test_windows_positions_and_padding_all_matter(windowed):
    """What a wrong network would leave out changes the features."""
    features = windowed.encode(images())

    def other(**arch):
        found = new(**WINDOWS | arch)
        same = {n: v for n, v in windowed.state_dict().items() if ".rel_pos_" not in n}
        tables = {n: v for n, v in found.state_dict().items() if ".rel_pos_" in n}
        found.load_state_dict(same | tables)
        return found.encode(images())

    assert not torch.allclose(other(rel_pos=False), features, atol=1e-2)
    assert not torch.allclose(other(global_blocks=(3,)), features, atol=1e-2)
    assert not torch.allclose(other(window_size=4), features, atol=1e-2)


def test_attention_is_that_of_the_definition_over_the_whole_map(windowed, defined):
    _, expected = defined
    for found in windowed.attention(images()):
        weights = found.probabilities[1].double().numpy()
        wanted = np.zeros((3, 35, 35))
        padded = np.zeros((3, 35))
        for (top, left), window in expected[found.block]:
            rows, columns = window.shape[1:3]
            for y, x, v, u in np.ndindex(rows, columns, rows, columns):
                if top + y >= 5 or left + x >= 7:
                    continue
                query = (top + y) * 7 + left + x
                if top + v < 5 and left + u < 7:
                    wanted[:, query, (top + v) * 7 + left + u] = window[:, y, x, v, u]
                else:
                    padded[:, query] += window[:, y, x, v, u]
        assert np.allclose(weights[:, :, :35], wanted, atol=1e-5)
        assert np.allclose(weights[:, :, 35:].sum(-1), padded, atol=1e-5)
        places = found.key_positions
        assert places[35:].isnan().all() and len(places) == (35 if found.block in (1, 3) else 54)
        assert torch.equal(places[:35], found.query_positions)
        assert places[:8].tolist() == [*([8 * i + 4, 4] for i in range(6)), [52, 4], [4, 12]]


@pytest.mark.parametrize("side", [5, 7])
def test_a_window_as_large_as_the_map_is_the_plain_vit(side):
    """New relative positions are 0; padding is attended to, so only a square map is the same."""
    size = (40, 40)
    bare = {"class_token": False, "final_norm": False, "pool": "mean"}
    plain = new(size, **bare)
    found = backbones.create("vit", SHAPE | WINDOWS | {"window_size": side}, size, 0)
    tables = {n: v for n, v in found.state_dict().items() if ".rel_pos_" in n}
    assert len(tables) == 8 and not any(value.any() for value in tables.values())
    found.load_state_dict(plain.state_dict() | tables)
    same = torch.allclose(found.encode(images(size)), plain.encode(images(size)), atol=1e-5)
    assert same == (side == 5)


@pytest.mark.parametrize("arch", [
    {},
    {"rel_pos": False},
    {"patch_padding": 2},
    {"window_size": 9, "pre_norm": True, "layer_scale": 0.1},
    {"swiglu": True, "qkv_bias": False},
])  # fmt: skip
@pytest.mark.parametrize("size", [SIZE, (64, 24)])
def test_it_keeps_the_rules_of_every_encoder(arch, size):
    """Every parameter gets a gradient, attention adds up to 1, and so on."""
    with torch.enable_grad():
        check_backbone(new(size, **WINDOWS | arch))


def test_a_file_of_mae(mae_file, mae_heads, mae_outputs, pixels, close):
    """The class token and its row go, and so does the final norm; positions go to the size as
    bicubic without antialiasing (detectron2 get_abs_pos, MAE util/pos_embed.py)."""
    plain = backbones.load(mae_file, arch=mae_heads)
    depth = len(plain.encoder.blocks)
    asked = mae_heads | {"window_size": 3, "rel_pos": True}
    for size, places in ((48, 36), (64, 64), ((48, 100), 78)):
        found = backbones.load(mae_file, size, arch=asked)
        report = found.key_report
        assert report.created == tuple(
            sorted(f"encoder.blocks.{i}.attn.rel_pos_{a}" for i in range(depth) for a in "hw")
        )
        dropped = report.dropped
        assert dropped["tokens before the patches, which ViTDet leaves out"] == ("cls_token",)
        left_out = dropped["norms and pooling after the blocks, which ViTDet leaves out"]
        assert left_out == ("norm.weight", "norm.bias")
        (rule,) = [rule for rule in report.converted if rule.startswith("position table")]
        assert report.converted[rule] == ("pos_embed",)
        assert rule.startswith("position table without 1 rows of tokens") and (
            rule.endswith(", bicubic") == (size != 48)
        )
        assert found.encoder.pos_embed.shape == (1, places, 48)
        if size == 64:
            assert close(found.encoder.pos_embed, mae_outputs["resized_pos_embed"][:, 1:])
    whole = asked | {"global_blocks": list(range(depth))}
    found = backbones.load(mae_file, arch=whole)
    given = pixels(found, mae_outputs["image"])
    expected = Definition(found)
    (*_, last) = expected.blocks(found.patches(given)[0].double().numpy())
    assert np.allclose(found.encode(given)[0].permute(1, 2, 0).numpy(), last, atol=1e-4)


def test_it_is_saved_whole_and_goes_to_another_size(tmp_path, windowed):
    """Global tables to the new map's extents, by linear interpolation as get_rel_pos does it;
    those of windows stay."""
    path = tmp_path / "windows.safetensors"
    backbones.save(windowed, path, {}, torch.float32)
    loaded = backbones.load(path, SIZE)
    assert torch.equal(loaded.encode(images()), windowed.encode(images()))
    assert not loaded.key_report.created and not loaded.key_report.converted
    other = backbones.load(path, (64, 80))
    assert other.encode(images((64, 80))).shape == (2, 24, 8, 10)
    converted = other.key_report.converted
    assert len(converted["relative positions to another extent, linear"]) == 4
    for block, same in ((0, True), (1, False)):
        old, new_ = (b.encoder.blocks[block].attn.rel_pos_h for b in (windowed, other))
        assert torch.equal(old, new_) if same else (old.shape, new_.shape) == ((9, 8), (15, 8))
        at = (np.arange(len(new_)) + 0.5) * len(old) / len(new_) - 0.5
        for channel in range(8):
            read = np.interp(at, np.arange(len(old)), old[:, channel].double().numpy())
            assert np.allclose(new_[:, channel].numpy(), read, atol=1e-6)


def test_rows_of_vitdet():
    """A model as deep as the published one has the reference's parameters, layers and decay."""
    rows = json.loads((RECIPES / "vitdet_base.json").read_text())
    rows = {
        name.replace("backbone.net.", "encoder."): row
        for name, row in rows.items()
        if name.startswith("backbone.net.")
    }
    arch = {"embed_dim": 12, "depth": 12, "num_heads": 1, "patch_size": 16}
    model = backbones.create("vit", arch | PUBLISHED, 64, 0)
    assert model.layer_ids("vitdet") == {name: row[0] for name, row in rows.items()}
    assert model.no_decay_names("vitdet") == {name for name, row in rows.items() if not row[2]}
    assert model.last_layer_of("vitdet") == 13


@pytest.mark.parametrize(("depth", "blocks"), [
    (12, (2, 5, 8, 11)), (24, (5, 11, 17, 23)), (32, (7, 15, 23, 31)), (1, (0,)),
])  # fmt: skip
def test_the_published_blocks_see_the_whole_map(depth, blocks):
    arch = SHAPE | {"depth": depth, "window_size": 3}
    found = backbones.create("vit", arch, 64, 0)
    whole = tuple(i for i, b in enumerate(found.encoder.blocks) if b.attn.windows is None)
    assert whole == found.spec.arch["global_blocks"] == blocks


def test_blocks_that_are_left_out_move_no_other(mae_file, mae_heads):
    asked = mae_heads | {"window_size": 3, "global_blocks": [1]}
    depth = len(backbones.load(mae_file, arch=mae_heads).encoder.blocks)
    short = backbones.load(mae_file, arch=asked, drop_last=depth - 1)
    assert [block.attn.windows is None for block in short.encoder.blocks] == [False]


def test_what_a_recipe_says():
    recipe = BackboneRecipe.model_validate({"input_size": (64, 64), **PUBLISHED})
    assert recipe.arch() == PUBLISHED and recipe.told() == {}


def test_what_does_not_go_together_is_refused(mae_file, mae_heads, simmim_file, refused):
    def ask(match, **arch):
        refused(mae_file, match, arch=mae_heads | arch)

    ask("rel_pos and global_blocks go with windows: give window_size", rel_pos=True)
    ask("rel_pos and global_blocks go with windows", global_blocks=[1])
    ask("global_blocks: expected 0 to", window_size=3, global_blocks=[99])
    ask("global_blocks: expected a whole number from 0", window_size=3, global_blocks=[-1])
    ask("global_blocks: expected numbers of blocks", window_size=3, global_blocks=2)
    ask("rel_pos: expected true or false", window_size=3, rel_pos=1)
    ask("window_size: expected a whole number from 0", window_size=(3, 3))
    ask(r"37 rows, expected 17 of a 4x4 grid", window_size=3, image_size=32)
    refused(
        mae_file,
        "with ViTDet's windows there is no decoder",
        arch=mae_heads | {"window_size": 3},
        keep=("decoder",),
    )
    refused(simmim_file, "window_size: ViTDet's windows are for", arch={"window_size": 3})
    with pytest.raises(backbones.LoadError, match="window_size: ViTDet has patches alone"):
        backbones.create("vit", SHAPE | WINDOWS | {"class_token": True}, 64, 0)
