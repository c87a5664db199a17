"""The published initialisations of plain ViTs, rule by rule."""

from __future__ import annotations

from math import sqrt

from torch import Generator, Tensor, nn

from backbones.families import initialise as init
from backbones.families.vit_arch import POSITIONS, RELATIVE, VitArch

FIXED_TABLES = ("mae", "ijepa")
"""Rules by which the position table is the sine-cosine one, not drawn."""

Fills = tuple[init.Fill, init.Fill | None, dict[str, init.Fill]]
_PATCHES = "encoder.patch_embed.proj.weight"


def fills(model: nn.Module, arch: VitArch, random: Generator) -> Fills:
    """Return how weights of linear layers, of convolutions, and parameters by name are drawn, but
    for fixed tables.

    Rules: "normal": timm's; "mae": models_mae.py; "ijepa": src/helper.py, which draws all linear
    layers anew after the scaling by depth that src/models/vision_transformer.py does; "clip":
    clip/model.py, torch's own for what it leaves to torch; "big_vision": models/vit.py.

    Args:
        model: whose parameters are drawn.
        arch: its architecture, the rule among it.
        random: where the draws are from.
    """
    scale = init.constant(arch.layer_scale or 0.0)
    names = [name for name, _ in model.named_parameters()]
    common = {name: scale for name in names if name.endswith(".gamma")}
    common |= {name: init.constant(0.0) for name in names if name.endswith(RELATIVE)}
    if arch.init == "clip":
        return _clip(model, arch, common, random)
    if arch.init == "big_vision":
        return _big_vision(model, arch, common, random)
    mae = arch.init == "mae"
    small = init.normal(random, 0.02)
    token = small if mae else init.normal(random, 1e-6)
    weights = init.xavier(random) if mae else small
    special = common | {
        "encoder.cls_token": token,
        "encoder.reg_token": token,
        "encoder.dist_token": small,
        "decoder.mask_token": small,
        "encoder.attn_pool.latent": init.normal(random, arch.embed_dim**-0.5),
        POSITIONS: small,
    }
    if arch.init == "ijepa":
        return weights, weights, special
    special[_PATCHES] = weights if mae else init.torch_uniform(random, 3 * arch.patch_size**2)
    return weights, None, special


def _clip(
    model: nn.Module, arch: VitArch, common: dict[str, init.Fill], random: Generator
) -> Fills:
    token = init.normal(random, arch.embed_dim**-0.5)
    special = common | dict.fromkeys(("encoder.cls_token", POSITIONS), token)
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            uniform = init.torch_uniform(random, module.in_features)
            joined = name.endswith(".qkv")
            special[f"{name}.weight"] = init.xavier(random) if joined else uniform
            if ".mlp." in name:
                special[f"{name}.bias"] = uniform
    return init.xavier(random), None, special


def _big_vision(
    model: nn.Module, arch: VitArch, common: dict[str, init.Fill], random: Generator
) -> Fills:
    xavier = init.xavier(random)

    def each_apart(joined: Tensor) -> None:
        for part in joined.chunk(3):
            xavier(part)

    # A query is to flax a layer from one input to `width` outputs.
    latent = sqrt(6 / (1 + arch.embed_dim))
    special: dict[str, init.Fill] = common | {
        POSITIONS: init.normal(random, arch.embed_dim**-0.5),
        "encoder.cls_token": init.constant(0.0),
        "encoder.attn_pool.latent": lambda t: t.uniform_(-latent, latent, generator=random),
    }
    for name, _ in model.named_parameters():
        if name.endswith(".qkv.weight"):
            special[name] = each_apart
        elif ".mlp." in name and name.endswith(".bias"):
            special[name] = init.normal(random, 1e-6)
    # lecun_normal of flax: cut off at two deviations, and made wider by what the cut takes away.
    std = (3 * arch.patch_size**2) ** -0.5 / 0.87962566103423978
    return xavier, init.trunc_normal(random, std, 2 * std), special
