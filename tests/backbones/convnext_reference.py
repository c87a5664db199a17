"""ConvNeXt and ConvNeXt V2 written out, under the names of their publishers' files.

Dense: functions of torch on the file's tensors. Sparse (FCMAE): cell by cell, where only seen cells
exist. Images are already normalised.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

State = dict[str, Tensor]
Cells = dict[tuple[int, int], Tensor]

EPS = 1e-6


def make(depths: Any, dims: Any, grn: bool, head: int, seed: int = 0) -> State:
    """A file of facebookresearch/ConvNeXt or, with `grn`, ConvNeXt-V2, of random numbers."""
    random = torch.Generator().manual_seed(seed)
    state: State = {}

    def add(name: str, *shape: int, about: float = 0.0) -> None:
        state[name] = about + 0.3 * torch.randn(shape, generator=random)

    def norm(name: str, width: int) -> None:
        add(f"{name}.weight", width, about=1.0)
        add(f"{name}.bias", width)

    def layer(name: str, *shape: int) -> None:
        add(f"{name}.weight", *shape)
        add(f"{name}.bias", shape[0])

    layer("downsample_layers.0.0", dims[0], 3, 4, 4)
    norm("downsample_layers.0.1", dims[0])
    for i, (depth, width) in enumerate(zip(depths, dims, strict=True)):
        if i:
            norm(f"downsample_layers.{i}.0", dims[i - 1])
            layer(f"downsample_layers.{i}.1", width, dims[i - 1], 2, 2)
        for j in range(depth):
            add_block(add, norm, layer, f"stages.{i}.{j}", width, grn)
    if head:
        norm("norm", dims[-1])
        layer("head", head, dims[-1])
    return state


def add_block(add: Any, norm: Any, layer: Any, name: str, width: int, grn: bool) -> None:
    """Add the tensors of a block."""
    layer(f"{name}.dwconv", width, 1, 7, 7)
    norm(f"{name}.norm", width)
    layer(f"{name}.pwconv1", 4 * width, width)
    layer(f"{name}.pwconv2", width, 4 * width)
    if grn:
        add(f"{name}.grn.gamma", 1, 1, 1, 4 * width)
        add(f"{name}.grn.beta", 1, 1, 1, 4 * width)
    else:
        add(f"{name}.gamma", width)


def as_fcmae(dense: State, decoder: int, seed: int = 1) -> State:
    """The same network in the layout that FCMAE's training writes, with a decoder."""
    state: State = {}
    for name, value in dense.items():
        own = "encoder." + name
        if "stages." in name or name.startswith(("downsample_layers.1", "downsample_layers.2",
                                                 "downsample_layers.3")):  # fmt: skip
            own, value = _sparse(own, value)
        state[own] = value
    random = torch.Generator().manual_seed(seed)
    width = dense["stages.3.0.norm.weight"].numel()
    numbers = {"proj.weight": (decoder, width, 1, 1), "proj.bias": (decoder,),
               "mask_token": (1, decoder, 1, 1), "pred.weight": (3 * 32**2, decoder, 1, 1),
               "pred.bias": (3 * 32**2,)}  # fmt: skip
    state |= {n: 0.3 * torch.randn(shape, generator=random) for n, shape in numbers.items()}
    block = make((1,), (decoder,), True, 0, seed)
    inner = {n: v for n, v in block.items() if n.startswith("stages.0.0.")}
    return state | {n.replace("stages.0.0", "decoder.0"): value for n, value in inner.items()}


def _sparse(name: str, value: Tensor) -> tuple[str, Tensor]:
    owner, leaf = name.rsplit(".", 1)
    if leaf == "weight" and value.ndim == 4:
        # Down the first column of the kernel, then down the next.
        columns = value.permute(3, 2, 1, 0).flatten(0, 1)
        return f"{owner}.kernel", columns.squeeze(1)
    if ".grn" in owner:
        return name, value.flatten(0, 2)
    if "pwconv" in owner:
        return f"{owner}.linear.{leaf}", value
    if value.ndim == 1 and (".norm" in owner or owner.endswith(".0")):
        return f"{owner}.ln.{leaf}", value
    return name, value.unsqueeze(0)


def dense_stages(state: State, images: Tensor) -> list[Tensor]:
    """The map after every block, stage by stage: what the publishers' forward passes through."""
    x = _convolve(state, "downsample_layers.0.0", images, stride=4)
    x = _norm(state, "downsample_layers.0.1", x)
    after, stage = [], 0
    while f"stages.{stage}.0.norm.weight" in state:
        if stage:
            x = _norm(state, f"downsample_layers.{stage}.0", x)
            x = _convolve(state, f"downsample_layers.{stage}.1", x, stride=2)
        block = 0
        while f"stages.{stage}.{block}.norm.weight" in state:
            x = dense_block(state, f"stages.{stage}.{block}", x)
            after.append(x)
            block += 1
        stage += 1
    return after


def dense_block(state: State, name: str, x: Tensor) -> Tensor:
    """A block, after models/convnext.py and models/convnextv2.py."""
    width = x.shape[1]
    y = functional.conv2d(x, state[f"{name}.dwconv.weight"], state[f"{name}.dwconv.bias"],
                          padding=3, groups=width)  # fmt: skip
    y = _norm(state, f"{name}.norm", y).permute(0, 2, 3, 1)
    y = _units(state, name, y)
    if f"{name}.grn.gamma" in state:
        size = y.square().sum(dim=(1, 2), keepdim=True).sqrt()
        relative = size / (size.mean(dim=-1, keepdim=True) + EPS)
        y = state[f"{name}.grn.gamma"] * (y * relative) + state[f"{name}.grn.beta"] + y
    y = y @ state[f"{name}.pwconv2.weight"].T + state[f"{name}.pwconv2.bias"]
    if f"{name}.gamma" in state:
        y = y * state[f"{name}.gamma"]
    return x + y.permute(0, 3, 1, 2)


def _units(state: State, name: str, y: Tensor) -> Tensor:
    return functional.gelu(y @ state[f"{name}.pwconv1.weight"].T + state[f"{name}.pwconv1.bias"])


def _convolve(state: State, name: str, x: Tensor, stride: int) -> Tensor:
    return functional.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], stride=stride)


def _norm(state: State, name: str, x: Tensor) -> Tensor:
    mean = x.mean(dim=1, keepdim=True)
    spread = (x - mean).square().mean(dim=1, keepdim=True)
    weight, bias = (state[f"{name}.{leaf}"].view(1, -1, 1, 1) for leaf in ("weight", "bias"))
    return weight * (x - mean) / (spread + EPS).sqrt() + bias


def sparse_features(state: State, image: Tensor, mask: Tensor) -> Tensor:
    """The last map (C,h,w) of one image (3,H,W): cell by cell, where hidden ones do not exist."""
    inner = {n.removeprefix("encoder."): v for n, v in state.items() if n.startswith("encoder.")}
    x = _convolve(inner, "downsample_layers.0.0", image.unsqueeze(0), stride=4)
    x = _norm(inner, "downsample_layers.0.1", x)[0]
    cells = {
        (i, j): x[:, i, j]
        for i in range(x.shape[1])
        for j in range(x.shape[2])
        if not mask[i // 8, j // 8]
    }
    stage = 0
    while f"stages.{stage}.0.norm.ln.weight" in inner:
        cells = _halved(inner, stage, cells) if stage else cells
        block = 0
        while f"stages.{stage}.{block}.norm.ln.weight" in inner:
            cells = _sparse_block(inner, f"stages.{stage}.{block}", cells)
            block += 1
        stage += 1
    found = torch.zeros(next(iter(cells.values())).numel(), *mask.shape)
    for (i, j), value in cells.items():
        found[:, i, j] = value
    return found


def _vector_norm(state: State, name: str, x: Tensor) -> Tensor:
    return functional.layer_norm(x, x.shape[-1:], state[f"{name}.ln.weight"],
                                 state[f"{name}.ln.bias"], EPS)  # fmt: skip


def _halved(state: State, stage: int, cells: Cells) -> Cells:
    name = f"downsample_layers.{stage}"
    kernel, bias = state[f"{name}.1.kernel"], state[f"{name}.1.bias"][0]
    sums: Cells = {}
    for (i, j), value in cells.items():
        place = (i // 2, j // 2)
        part = _vector_norm(state, f"{name}.0", value) @ kernel[(j % 2) * 2 + i % 2]
        sums[place] = sums.get(place, bias) + part
    return sums


def _sparse_block(state: State, name: str, cells: Cells) -> Cells:
    kernel, bias = state[f"{name}.dwconv.kernel"], state[f"{name}.dwconv.bias"][0]
    summed = []
    for i, j in cells:
        y = bias
        for column in range(7):
            for row in range(7):
                other = cells.get((i + row - 3, j + column - 3))
                y = y if other is None else y + kernel[column * 7 + row] * other
        summed.append(y)
    linear = {n.replace(".linear.", "."): v for n, v in state.items()}
    y = _units(linear, name, _vector_norm(state, f"{name}.norm", torch.stack(summed)))
    size = y.norm(dim=0, keepdim=True)
    relative = size / (size.mean(dim=-1, keepdim=True) + EPS)
    y = state[f"{name}.grn.gamma"] * (y * relative) + state[f"{name}.grn.beta"] + y
    y = y @ linear[f"{name}.pwconv2.weight"].T + linear[f"{name}.pwconv2.bias"]
    return {place: value + y[n] for n, (place, value) in enumerate(cells.items())}
