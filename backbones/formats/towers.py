"""What the layouts of image towers, CLIP's and SigLIP's, have in common."""

from __future__ import annotations

from typing import Any

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
HALF = (0.5, 0.5, 0.5)

SIZES = ("input_resolution", "context_length", "vocab_size")
"""What OpenAI's programs carry as tensors, and no other project's files."""

_TEXT = ("text_", "text.", "token_embedding.", "ln_final.", "transformer.", "positional_embedding",
         "attn_mask")  # fmt: skip
_CLIP_HEADS = {1280: 16, 1408: 16, 1664: 16, 1792: 16}
_SIGLIP_HEADS = {1152: 16, 1536: 16}


def beside_the_tower(name: str) -> str | None:
    """Return the rule by which a tensor that lies beside an image tower is left out, if any."""
    if name in ("logit_scale", "logit_bias"):
        return "scale and offset of the contrast"
    if name in SIZES:
        return "sizes beside the weights"
    return "text tower" if name.startswith(_TEXT) else None


def clip_facts(width: int) -> dict[str, Any]:
    """Return what holds of CLIP's architectures of a width, apart from their activation.

    Heads are 64 wide (clip/model.py) but for open_clip's largest, of which there are 16
    (open_clip's model_configs).
    """
    heads = _CLIP_HEADS.get(width, 0 if width % 64 else width // 64)
    known = {"num_heads": heads} if heads else {}
    return {"pool": "class_token", "norm_eps": 1e-5, "init": "clip", **known}


def siglip_facts(width: int) -> dict[str, Any]:
    """Return what holds of SigLIP's architectures of a width (big_vision models/vit.py).

    GELU is the approximation by tanh there, the default of flax.
    """
    known = {"num_heads": _SIGLIP_HEADS[width]} if width in _SIGLIP_HEADS else {}
    return {
        "pool": "attention",
        "act": "gelu_tanh",
        "position_resize": "bilinear_corners",
        "init": "big_vision",
        **known,
    }


def heads_note(facts: dict[str, Any]) -> tuple[str, ...]:
    """Return the note on the number of heads, which no file tells."""
    number = facts.get("num_heads")
    return (f"num_heads={number} by the towers' published rule",) if number else ()
