"""Mutations of a state dict: each changes it in place and says what it did."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

import torch
from torch import Tensor

State = dict[str, Tensor]
Mutation = Callable[[State, Random, State], str]
"""Of a state dict, by chance, with another architecture's at hand."""

SHARED_TABLE = "rel_pos_bias.relative_position_bias_table"

_BLOCK = re.compile(r"(.*blocks\.)(\d+)(\..*)")


def missing(state: State, random: Random, _: State) -> str:
    name = random.choice(list(state))
    del state[name]
    return name


def renamed(state: State, random: Random, _: State) -> str:
    name = random.choice(list(state))
    state[f"{name}_"] = state.pop(name)
    return name


def added(state: State, random: Random, _: State) -> str:
    name = random.choice(list(state))
    head, _dot, tail = name.rpartition(".")
    new = f"{head}.extra.{tail}".lstrip(".")
    state[new] = state[name].clone()
    return new


def reshaped(state: State, random: Random, _: State) -> str:
    name = _pick(state, random, lambda value: value.ndim > 0)
    state[name] = state[name].flatten().unsqueeze(-1)
    return name


def cut(state: State, random: Random, _: State) -> str:
    name = _pick(state, random, lambda value: value.ndim > 0)
    state[name] = state[name][:-1]
    return name


def grown(state: State, random: Random, _: State) -> str:
    name = _pick(state, random, lambda value: value.ndim > 0 and len(value) > 0)
    state[name] = torch.cat([state[name], state[name][-1:]])
    return name


def transposed(state: State, random: Random, _: State) -> str:
    name = _pick(state, random, lambda v: v.ndim > 1 and v.shape[0] != v.shape[-1])
    state[name] = state[name].transpose(0, -1).contiguous()
    return name


def not_a_number(state: State, random: Random, _: State) -> str:
    return _spoil(state, random, float("nan"))


def infinite(state: State, random: Random, _: State) -> str:
    return _spoil(state, random, random.choice([float("inf"), -float("inf")]))


def whole_numbers(state: State, random: Random, _: State) -> str:
    name = _pick(state, random, Tensor.is_floating_point)
    state[name] = state[name].to(random.choice([torch.int8, torch.int64, torch.bool]))
    return name


def complex_numbers(state: State, random: Random, _: State) -> str:
    name = random.choice(list(state))
    state[name] = torch.complex(state[name].float(), torch.ones(state[name].shape))
    return name


def attention_head_too_many(state: State, random: Random, _: State) -> str:
    """One head more in one block: in its projection, or in its table of relative positions.

    Not in a table of all blocks whose columns alone tell the number, where the width has as many
    parts: that is another encoder.
    """
    width = next(len(v) for n, v in state.items() if n.endswith("norm1.weight"))
    names = [
        name
        for name, value in state.items()
        if name.endswith(("qkv.weight", ".relative_position_bias_table"))
        and not (name.endswith(SHARED_TABLE) and width % (value.shape[1] + 1) == 0)
    ]
    name = random.choice(names)
    value = state[name]
    if name.endswith("table"):
        state[name] = torch.cat([value, value[:, -1:]], dim=1)
    else:
        state[name] = torch.cat([value, value[: 3 * max(value.shape[1] // 4, 1)]])
    return name


def classifier_too_many(state: State, random: Random, _: State) -> str:
    width = next(len(v) for n, v in state.items() if n.endswith("norm1.weight"))
    name = random.choice(["head2", "head_aux", "classifier.1", "encoder.head.0"])
    state[f"{name}.weight"] = torch.randn(10, width)
    state[f"{name}.bias"] = torch.zeros(10)
    return name


def of_another_architecture(state: State, random: Random, other: State) -> str:
    names = random.sample([name for name in other if name not in state], 2)
    state.update({name: other[name] for name in names})
    return ", ".join(names)


def replaced_by_another_architecture(state: State, random: Random, other: State) -> str:
    """Half of the tensors are the other's."""
    for name in random.sample(list(state), len(state) // 2):
        del state[name]
    names = random.sample(list(other), len(other) // 2)
    state.update({name: other[name] for name in names})
    return f"{len(names)} tensors"


def prefix_added(state: State, random: Random, _: State) -> str:
    prefix = random.choice(["net.", "model.", "backbone.", "encoder.", "module.", "0."])
    _rename(state, lambda name: prefix + name)
    return prefix


def prefix_added_to_some(state: State, random: Random, _: State) -> str:
    chosen = set(random.sample(list(state), len(state) // 2))
    prefix = random.choice(["net.", "model.", "backbone.", "encoder.", "module."])
    _rename(state, lambda name: prefix + name if name in chosen else name)
    return prefix


def prefix_removed(state: State, random: Random, _: State) -> str:
    """The first part of the names that have the most usual one."""
    firsts = [name.partition(".")[0] for name in state if "." in name]
    prefix = max(sorted(set(firsts)), key=firsts.count) + "."
    _rename(state, lambda name: name.removeprefix(prefix))
    return prefix


def block_number_skipped(state: State, random: Random, _: State) -> str:
    stem, depth = _blocks(state, random)
    _rename(state, _renumbered(stem, depth - 1, depth))
    return f"{stem}{depth - 1} is {depth}"


def first_block_removed(state: State, random: Random, _: State) -> str:
    stem, depth = _blocks(state, random)
    for name in [name for name in state if name.startswith(f"{stem}0.")]:
        del state[name]
    return f"{stem}0 of {depth}"


def square_transposed(state: State, random: Random, _: State) -> str:
    name = _pick(
        state, random, lambda v: v.ndim == 2 and v.shape[0] == v.shape[1] and v.is_floating_point()
    )
    state[name] = state[name].T.contiguous()
    return name


def blocks_exchanged(state: State, random: Random, _: State) -> str:
    """The first two blocks of one stack, in each other's place."""
    stem, _depth = _blocks(state, random, least=2)
    first = _renumbered(stem, 0, 1)
    second = _renumbered(stem, 1, 0)
    _rename(state, lambda name: first(name) if name.startswith(f"{stem}0.") else second(name))
    return stem


def last_block_doubled(state: State, random: Random, _: State) -> str:
    stem, depth = _blocks(state, random)
    again = _renumbered(stem, depth - 1, depth)
    for name in [name for name in state if name.startswith(f"{stem}{depth - 1}.")]:
        state[again(name)] = state[name].clone()
    return f"{stem}{depth}"


def last_block_removed(state: State, random: Random, _: State) -> str:
    stem, depth = _blocks(state, random, least=2)
    for name in [name for name in state if name.startswith(f"{stem}{depth - 1}.")]:
        del state[name]
    return f"{stem}{depth - 1}"


def _pick(state: State, random: Random, fits: Callable[[Tensor], bool]) -> str:
    return random.choice([name for name, value in state.items() if fits(value)])


def _spoil(state: State, random: Random, by: float) -> str:
    name = _pick(state, random, lambda value: value.is_floating_point() and value.numel() > 0)
    spoilt = state[name].clone()
    spoilt.view(-1)[random.randrange(spoilt.numel())] = by
    state[name] = spoilt
    return name


def _rename(state: State, rule: Callable[[str], str]) -> None:
    renamed = {rule(name): value for name, value in state.items()}
    state.clear()
    state.update(renamed)


def _blocks(state: State, random: Random, least: int = 1) -> tuple[str, int]:
    """Return what the names of a stack of blocks begin with, and its depth."""
    depths: dict[str, int] = {}
    for name in state:
        if found := _BLOCK.fullmatch(name):
            stem, number = found[1], int(found[2])
            depths[stem] = max(depths.get(stem, 0), number + 1)
    return random.choice(sorted(pair for pair in depths.items() if pair[1] >= least))


def _renumbered(stem: str, old: int, new: int) -> Callable[[str], str]:
    def rule(name: str) -> str:
        rest = name.removeprefix(f"{stem}{old}.")
        return name if rest == name else f"{stem}{new}.{rest}"

    return rule
