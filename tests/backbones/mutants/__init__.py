"""Changed, damaged and hostile files: each is refused in one line or gives what it gave.

`python -m tests.backbones.mutants [NUMBER OF SEEDS]` prints the table of all kinds.
"""

from __future__ import annotations

import io
import shutil
from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import torch
from safetensors.torch import save as safetensors_bytes
from torch import Tensor

import backbones
from backbones.unpickle import Inert, load_inert
from tests.backbones.mutants import content, damage, hostile

FIXTURES = Path(__file__).parents[2] / "fixtures" / "checkpoints"

_TWO = {"num_heads": 2}
# Without `model` around them BEiT's names are timm's too, of which another mean is assumed.
_COLOURS = {"mean": (0.5,) * 3, "std": (0.5,) * 3}
ARCHS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "simmim_vit": ({}, ("decoder",)),
    "mae_vit": ({"num_heads": 3, "decoder_num_heads": 4}, ("decoder",)),
    "simmim_swin": ({}, ("decoder",)),
    "simmim_swinv2": ({}, ("decoder",)),
    "swin_supervised": ({}, ("head",)),
    "mim_depth_swinv2": ({}, ()),
    "beit_pretrain": ({}, ("decoder",)),
    "beit_finetuned": (_COLOURS, ("head",)),
    "deit": (_TWO, ("head",)),
    "dino": (_TWO, ()),
    "ibot": (_TWO, ()),
    "dinov2": (_TWO, ("decoder",)),
    "moco_v3": (_TWO, ()),
}
"""Of each fixture: what the file does not tell, and the parts that it has to keep."""

_OTHER = {"simmim_swin": "dinov2", "swin_supervised": "mae_vit", "mae_vit": "swin_supervised"}
"""Whose tensors are mixed in; those of simmim_swin where nothing is said."""

CHANGES: tuple[content.Mutation, ...] = (
    content.missing,
    content.renamed,
    content.added,
    content.reshaped,
    content.cut,
    content.grown,
    content.transposed,
    content.not_a_number,
    content.infinite,
    content.whole_numbers,
    content.complex_numbers,
    content.attention_head_too_many,
    content.classifier_too_many,
    content.of_another_architecture,
    content.replaced_by_another_architecture,
    content.prefix_added,
    content.prefix_added_to_some,
    content.prefix_removed,
    content.block_number_skipped,
    content.first_block_removed,
)
UNDETECTABLE_CHANGES: tuple[content.Mutation, ...] = (
    content.square_transposed,
    content.blocks_exchanged,
    content.last_block_doubled,
    content.last_block_removed,
)
DAMAGES: tuple[damage.Damage, ...] = (
    damage.truncated,
    damage.last_byte_missing,
    damage.emptied,
    damage.html_in_its_place,
    damage.bytes_of_chance,
    damage.directory_of_zip,
    damage.names_in_zip,
    damage.pickle_in_zip,
    damage.tensor_in_zip,
    damage.entry_twice_in_zip,
    damage.entry_missing_in_zip,
    damage.compressed_zip,
)
SAFETENSORS_DAMAGES: tuple[damage.Damage, ...] = (
    damage.truncated,
    damage.last_byte_missing,
    damage.header_of_safetensors,
    damage.length_of_header,
)
HOSTILE: tuple[hostile.Hostile, ...] = (
    hostile.code_in_pickle,
    hostile.bomb_in_pickle,
    hostile.expanded_tensor,
    hostile.claimed_storage,
    hostile.zip_bomb,
    hostile.overlapping_zip,
    hostile.tar_with_link,
    hostile.header_without_end,
    hostile.tensor_without_bytes,
    hostile.folder,
    hostile.pipe,
    hostile.link_to_device,
    hostile.link_to_itself,
)

Maker = Callable[[str, Random, Path], str]
"""Writes a mutant of a fixture to a path; says what it changed."""


@dataclass(frozen=True)
class Outcome:
    """What became of one mutant.

    Attributes:
        verdict: "refused", "same", "other", "ran" (its code did) or "broke" (another exception).
        said: the refusal, or what was found.
    """

    kind: str
    fixture: str
    changed: str
    verdict: str
    said: str


@cache
def loaded(fixture: str) -> dict[str, Any]:
    """Return a fixture's content, empty objects in place of its configuration."""
    found = load_inert(str(FIXTURES / fixture / "checkpoint.pth"))
    return {k: Namespace() if isinstance(v, Inert) else v for k, v in found.items()}


def state_of(fixture: str) -> tuple[str | None, dict[str, Tensor]]:
    """Return the key under which a fixture's state dict lies, and a copy of it."""
    found = loaded(fixture)
    key = next((key for key in ("model", "state_dict") if key in found), None)
    return key, dict(found[key] if key else found)


def original(fixture: str, container: str) -> bytes:
    """Return a fixture's bytes, as it is ("zip") or as "legacy" or "safetensors"."""
    if container == "zip":
        return (FIXTURES / fixture / "checkpoint.pth").read_bytes()
    if container == "legacy":
        buffer = io.BytesIO()
        torch.save(loaded(fixture), buffer, _use_new_zipfile_serialization=False)
        return buffer.getvalue()
    state = {n: v.clone().contiguous() for n, v in state_of(fixture)[1].items()}
    data: bytes = safetensors_bytes(state)
    return data


def outputs(path: Path, fixture: str, keep: tuple[str, ...] = ()) -> dict[str, Tensor]:
    """Everything that an encoder gives for one image."""
    backbone: Any = backbones.load(path, arch=ARCHS[fixture][0], keep=keep)
    height, width = backbone.input_size
    random = torch.Generator().manual_seed(0)
    images = torch.rand(1, 3, height, width, generator=random)
    with torch.no_grad():
        found = {f"map {i}": value for i, value in enumerate(backbone(images))}
        found |= {"encode": backbone.encode(images), "pooled": backbone.pooled(images)}
        if "head" in keep:
            found["logits"] = backbone.logits(images)
        if "decoder" in keep:
            side = backbone.arch.patch_size
            shape = (1, height // side, width // side)
            masked = backbone.masked(images, torch.rand(shape, generator=random) < 0.6)
            found |= {f"masked {i}": v for i, v in enumerate(masked) if v is not None}
    return found


@cache
def expected(fixture: str, keep: tuple[str, ...]) -> dict[str, Tensor]:
    return outputs(FIXTURES / fixture / "checkpoint.pth", fixture, keep)


def judged(path: Path, fixture: str) -> tuple[str, str]:
    """Load a file with every part that it may keep, and without; return verdict and message."""
    verdict, said = _judged(path, fixture, ())
    parts = ARCHS[fixture][1]
    if verdict in ("same", "refused") and parts:
        other, told = _judged(path, fixture, parts)
        if other not in ("same", "refused"):
            return other, told
    return ("ran", said) if path.with_name(hostile.MARKER).exists() else (verdict, said)


def _judged(path: Path, fixture: str, keep: tuple[str, ...]) -> tuple[str, str]:
    try:
        found = outputs(path, fixture, keep)
    except backbones.LoadError as error:
        said = str(error)
        return ("refused" if said.isprintable() else "broke"), said
    except Exception as error:  # whatever it is, no file may cause it
        return "broke", repr(error)
    whole = expected(fixture, keep)
    wrong = [n for n in whole if n not in found or not torch.equal(found[n], whole[n])]
    return ("other", f"keep={keep}: {', '.join(wrong)}") if wrong else ("same", "")


def change(mutation: content.Mutation) -> Maker:
    """Make the maker of a mutation of the state dict, saved as the fixture was, or as legacy."""

    def make(fixture: str, random: Random, path: Path) -> str:
        key, state = state_of(fixture)
        said = mutation(state, random, state_of(_OTHER.get(fixture, "simmim_swin"))[1])
        whole = {**loaded(fixture), key: state} if key else state
        zipped = random.random() < 0.8
        torch.save(whole, path, _use_new_zipfile_serialization=zipped)
        return said

    return make


def damaged(damage: damage.Damage, container: str) -> Maker:
    def make(fixture: str, random: Random, path: Path) -> str:
        data, said = damage(original(fixture, container), random)
        path.write_bytes(data)
        return said

    return make


def planted(hostile: hostile.Hostile) -> Maker:
    return lambda fixture, random, path: hostile(loaded(fixture), path, random)


KINDS: dict[str, Maker] = {
    **{mutation.__name__: change(mutation) for mutation in CHANGES},
    **{damage.__name__: damaged(damage, "zip") for damage in DAMAGES},
    **{f"safetensors_{d.__name__}": damaged(d, "safetensors") for d in SAFETENSORS_DAMAGES},
    **{hostile.__name__: planted(hostile) for hostile in HOSTILE},
}
"""Kinds of which none may load with other outputs."""

UNDETECTABLE: dict[str, Maker] = {
    **{mutation.__name__: change(mutation) for mutation in UNDETECTABLE_CHANGES},
    "values_of_safetensors": damaged(damage.values_of_safetensors, "safetensors"),
    "byte_of_legacy": damaged(damage.any_byte, "legacy"),
}
"""Kinds that may leave a file which somebody might have trained: only its hash tells."""


def made(kind: str, fixture: str, seed: int, folder: Path) -> tuple[Path, str]:
    """Write one mutant into a new folder; the same for the same arguments."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    path = folder / "mutant.pth"
    maker = (KINDS | UNDETECTABLE)[kind]
    return path, maker(fixture, Random(f"{kind} {fixture} {seed}"), path)


def outcomes(kinds: dict[str, Maker], seeds: range, folder: Path) -> Iterator[Outcome]:
    """Judge a mutant of each kind and seed; fixtures take turns."""
    names = list(ARCHS)
    for place, kind in enumerate(kinds):
        for seed in seeds:
            fixture = names[(place + seed) % len(names)]
            path, changed = made(kind, fixture, seed, folder / "mutant")
            verdict, said = judged(path, fixture)
            yield Outcome(kind, fixture, changed, verdict, said)
