"""The image towers of CLIP and SigLIP written out in plain torch, under the names of OpenAI's code,
and what other projects call the same tensors."""

import re

import torch
from torch import nn
from torch.nn import functional

ACTS = {
    "gelu": functional.gelu,
    "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x),
}


class Block(nn.Module):
    def __init__(self, width, heads, eps, act):
        super().__init__()
        self.act = act
        self.ln_1, self.ln_2 = (nn.LayerNorm(width, eps=eps) for _ in range(2))
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.mlp = nn.ModuleDict(
            {"c_fc": nn.Linear(width, 4 * width), "c_proj": nn.Linear(4 * width, width)}
        )

    def forward(self, x):
        normed = self.ln_1(x)
        x = x + self.attn(normed, normed, normed, need_weights=False)[0]
        return x + self.mlp["c_proj"](ACTS[self.act](self.mlp["c_fc"](self.ln_2(x))))


class Pool(nn.Module):
    def __init__(self, width, heads, eps, act):
        super().__init__()
        self.act = act
        self.probe = nn.Parameter(torch.zeros(1, 1, width))
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.layernorm = nn.LayerNorm(width, eps=eps)
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, 96), "fc2": nn.Linear(96, width)})

    def forward(self, x):
        query = self.probe.expand(len(x), -1, -1)
        seen = self.attention(query, x, x, need_weights=False)[0]
        hidden = ACTS[self.act](self.mlp["fc1"](self.layernorm(seen)))
        return (seen + self.mlp["fc2"](hidden))[:, 0]


class Tower(nn.Module):
    """`clip`: with class token, `ln_pre`, a bias-free embedding and epsilon 1e-5; else SigLIP."""

    def __init__(self, clip, act, width=128, heads=2, depth=2, patch=8, grid=4):
        super().__init__()
        eps = 1e-5 if clip else 1e-6
        self.clip = clip
        self.conv1 = nn.Conv2d(3, width, patch, patch, bias=not clip)
        self.positional_embedding = nn.Parameter(torch.zeros(grid**2 + clip, width))
        self.transformer = nn.Module()
        self.transformer.resblocks = nn.ModuleList(
            Block(width, heads, eps, act) for _ in range(depth)
        )
        self.ln_post = nn.LayerNorm(width, eps=eps)
        if clip:
            self.class_embedding = nn.Parameter(torch.zeros(width))
            self.ln_pre = nn.LayerNorm(width, eps=eps)
            self.proj = nn.Parameter(torch.zeros(width, 24))
        else:
            self.pool = Pool(width, heads, eps, act)
        random = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter += 0.1 * torch.randn(parameter.shape, generator=random)

    def forward(self, images):
        """Return the tokens after every block, after the last norm, and pooled."""
        x = self.conv1(images).flatten(2).transpose(1, 2)
        if self.clip:
            x = torch.cat([self.class_embedding.expand(len(x), 1, -1), x], dim=1)
        x = x + self.positional_embedding
        x = self.ln_pre(x) if self.clip else x
        blocks = []
        for block in self.transformer.resblocks:
            x = block(x)
            blocks.append(x)
        x = self.ln_post(x)
        return blocks, x, x[:, 0] if self.clip else self.pool(x)


BESIDE = {
    "positional_embedding": torch.ones(7, 16),
    "text_projection": torch.ones(16, 24),
    "logit_scale": torch.tensor(4.6),
    "token_embedding.weight": torch.ones(9, 16),
    "transformer.resblocks.0.attn.in_proj_weight": torch.ones(48, 16),
    "ln_final.weight": torch.ones(16),
}
"""The text tower of a CLIP."""

SIZES = {name: torch.tensor(3) for name in ("input_resolution", "context_length", "vocab_size")}

TO_TIMM = [
    (r"^conv1\.", "patch_embed.proj."),
    (r"^positional_embedding$", "pos_embed"),
    (r"^class_embedding$", "cls_token"),
    (r"^ln_pre\.", "norm_pre."),
    (r"^ln_post\.", "norm."),
    (r"^transformer\.resblocks", "blocks"),
    (r"\.attn\.in_proj_", ".attn.qkv."),
    (r"\.attn\.out_proj", ".attn.proj"),
    (r"\.ln_", ".norm"),
    (r"\.mlp\.c_fc", ".mlp.fc1"),
    (r"\.mlp\.c_proj", ".mlp.fc2"),
    (r"^pool\.probe", "attn_pool.latent"),
    (r"^pool\.attention\.out_proj", "attn_pool.proj"),
    (r"^pool\.layernorm", "attn_pool.norm"),
    (r"^pool\.mlp", "attn_pool.mlp"),
]
TO_TRANSFORMERS = [
    (r"^conv1\.", "embeddings.patch_embedding."),
    (r"^positional_embedding$", "embeddings.position_embedding.weight"),
    (r"^class_embedding$", "embeddings.class_embedding"),
    (r"^ln_pre\.", "pre_layrnorm."),
    (r"^ln_post\.", "post_layernorm."),
    (r"^transformer\.resblocks", "encoder.layers"),
    (r"\.attn\.out_proj", ".self_attn.out_proj"),
    (r"\.ln_", ".layer_norm"),
    (r"\.mlp\.c_fc", ".mlp.fc1"),
    (r"\.mlp\.c_proj", ".mlp.fc2"),
    (r"^pool\.", "head."),
]


def renamed(state, rules):
    found = {}
    for name, value in state.items():
        for pattern, new in rules:
            name = re.sub(pattern, new, name)
        found[name] = value
    return found


def of_timm(state):
    """The state dict under timm's names, with timm's axes."""
    found = {}
    for name, value in renamed(state, TO_TIMM).items():
        if name in ("pos_embed", "cls_token"):
            found[name] = value.reshape(1, -1, value.shape[-1])
        elif name.startswith("pool.attention.in_proj_"):
            leaf, third = name.rpartition("_")[2], len(value) // 3
            found[f"attn_pool.q.{leaf}"], found[f"attn_pool.kv.{leaf}"] = value.split(
                [third, 2 * third]
            )
        elif name != "proj":
            found[name] = value
    return {name: value.clone() for name, value in found.items()}


def of_transformers(state):
    """The state dict under the names of Hugging Face transformers."""
    found = {}
    for name, value in renamed(state, TO_TRANSFORMERS).items():
        if ".attn.in_proj_" in name:
            for part, piece in zip("qkv", value.chunk(3), strict=True):
                found[name.replace("attn.in_proj_", f"self_attn.{part}_proj.")] = piece.clone()
        elif name != "proj":
            found[name] = value
    return found


def under(prefix, state):
    return {prefix + name: value for name, value in state.items()}


def error(ours, reference):
    """max|a-b| / max|b|."""
    assert ours.shape == reference.shape
    return float((ours - reference).abs().max() / reference.abs().max())


def check(backbone, tower, size=32):
    """Every block, the normed map and pooled equal the tower's, to what rounding leaves."""
    images = torch.rand(2, 3, size, size)
    blocks, final, pooled = tower((images - backbone.mean) / backbone.std)
    for ours, reference in zip(backbone.blocks(images), blocks, strict=True):
        assert error(ours, reference) < 1e-5
    assert error(backbone.encode(images), backbone.as_map(final)) < 1e-5
    assert error(backbone.pooled(images), pooled) < 1e-5
