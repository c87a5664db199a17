"""The modules of an encoder with stages: Swin's or SwinV2's blocks of timm, in windows of our own.

Parameters have timm's names: the merging of patches comes first in the stage that it leads to.
"""

from __future__ import annotations

from functools import partial
from typing import Any, cast

from timm.layers.patch_embed import PatchEmbed
from torch import Tensor, nn

from backbones.families.stage_arch import StageArch
from backbones.families.windows import Windows


class Stage(nn.Module):
    """Merging of patches where there is a stage before, then blocks. Maps are (B,h,w,C)."""

    def __init__(self, downsample: nn.Module, blocks: list[nn.Module]) -> None:
        super().__init__()
        self.downsample = downsample
        self.blocks = nn.ModuleList(blocks)


class StageEncoder(nn.Module):
    """Patch embedding, stages and final norm, of timm's layers.

    Args:
        arch: the architecture.
        stages: one for each entry of `arch.depths`.
    """

    def __init__(self, arch: StageArch, stages: list[Stage]) -> None:
        super().__init__()
        layer_norm = norm_layer(arch)
        self.patch_embed = PatchEmbed(
            None,
            arch.patch_size,
            embed_dim=arch.embed_dim,
            norm_layer=layer_norm if arch.patch_norm else None,
            output_fmt="NHWC",
        )
        self.layers = nn.ModuleList(stages)
        self._norm = arch.norm
        self.add_module(arch.norm, layer_norm(arch.widths[-1]))

    def normed(self, x: Tensor) -> Tensor:
        """Return the last map (B,h,w,C) after the final norm."""
        return cast(Tensor, self.get_submodule(self._norm)(x))


def norm_layer(arch: StageArch) -> Any:
    """Return the maker of the architecture's layer norms."""
    return partial(nn.LayerNorm, eps=arch.norm_eps)


def for_block(arch: StageArch, stage: int, windows: Windows) -> dict[str, Any]:
    """Return what timm's blocks of both families are made with."""
    return {
        "dim": arch.widths[stage],
        "input_resolution": windows.grid,
        "num_heads": arch.num_heads[stage],
        "window_size": windows.side,
        "always_partition": True,
        "dynamic_mask": True,
        "mlp_ratio": arch.mlp_ratio,
        "qkv_bias": arch.qkv_bias,
        "norm_layer": norm_layer(arch),
    }


class InWindows(nn.Module):
    """A block of timm's in windows that are decided here: timm rolls first and pads then."""

    attn: Any
    attn_mask: Tensor | None
    windows: Windows

    def divide(self, windows: Windows) -> None:
        """Set the windows."""
        self.windows = windows
        self.register_buffer("attn_mask", windows.mask(), persistent=False)

    def _attn(self, x: Tensor) -> Tensor:
        return self.windows.join(self.attn(self.windows.split(x), mask=self.attn_mask))
