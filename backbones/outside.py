"""Named encoders of other packages: entry points of the group `harness.backbones`.

What is offered is a function, or anything else to call, that returns a `Backbone`. A `Family`
(`backbones.families`), offered under the same group, is no encoder itself.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

import torch

from backbones.arguments import Size
from backbones.conformity import BrokenRule, check_cheaply, holds
from backbones.contract import Backbone
from backbones.dropping import Drop
from backbones.entries import is_taken, outside
from backbones.errors import LoadError
from backbones.families import FAMILIES, GROUP, is_family
from backbones.offers import Offer, offers, refusal, said


def listing() -> list[tuple[str, str, str]]:
    """Return name, package, and what is said of it in one line, or why it cannot be had."""
    return [(offer.name, offer.package, _about(offer)) for offer in offers(GROUP)]


def load(
    offer: Offer,
    input_size: Size | None,
    drop_path: float,
    drop: Drop,
    arch: Mapping[str, Any],
    keep: Collection[str],
) -> Backbone:
    """Call what is offered with what is asked for, and check what it gives.

    An argument is passed only where it is asked for; one that the function has no parameter for is
    refused, not ignored. It is called twice, with torch's global generator in two states, so that
    weights which nobody could have again are noticed.

    Raises:
        LoadError: it cannot be imported, does not take what is asked for, fails, or breaks a rule
            of `backbones.conformity`.
    """
    make = offer.get()
    if is_family(make):
        raise LoadError(
            f"{offer.who} is a family of architectures, not an encoder: give a checkpoint file"
        )
    if not callable(make):
        raise LoadError(f"{offer.who} is neither a function that gives an encoder nor a Family")
    given = {"drop_path": drop_path, "arch": dict(arch), "keep": set(keep)}
    asked = drop.asked() | {name: value for name, value in given.items() if value}
    if input_size is not None:
        asked["input_size"] = input_size
    _check_taken(offer, make, asked)
    try:
        sealed = _make(offer, make, asked, seed=0).loaded_sha256
        backbone = _make(offer, make, asked, seed=1)
        holds(backbone.loaded_sha256 == sealed, "it has the same weights each time it is loaded")
        holds(backbone.spec.name == offer.name, "spec.name is the name that it is offered under")
        size = input_size or backbone.input_size
        holds(backbone.input_size == size, f"input_size is the one asked for, {size}")
        check_cheaply(backbone)
    except BrokenRule as error:
        raise LoadError(f"{offer.who} breaks the contract of encoders: {error}") from error
    except LoadError:
        raise
    except (Exception, SystemExit) as error:
        raise LoadError(f"{offer.who} fails when it is loaded ({said(error)})") from error
    return backbone


def _about(offer: Offer) -> str:
    if is_taken(offer.name):
        return f"cannot be used: {refusal(offer)}"
    try:
        outside(offer.name)
        found = offer.get()
    except LoadError as error:
        return f"cannot be used: {error}"
    if is_family(found) and offer.name in FAMILIES:
        return f"cannot be used: {refusal(offer)}"
    words = (inspect.getdoc(found) or "").partition("\n")[0]
    return f"family of architectures: {words}" if is_family(found) else words


def _check_taken(offer: Offer, make: Callable[..., Any], asked: Mapping[str, Any]) -> None:
    parameters = inspect.signature(make).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    for name, value in asked.items():
        if name not in parameters:
            takes = ", ".join(parameters) or "nothing"
            raise LoadError(
                f"{offer.who} has no {name}, which is to be {value}; what can be given: {takes}"
            )


def _make(offer: Offer, make: Callable[..., Any], asked: Mapping[str, Any], seed: int) -> Backbone:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = make(**asked)
    holds(isinstance(made, Backbone), f"it is a Backbone, got {type(made).__name__}")
    backbone: Backbone = made
    note = f"offered by the package {offer.package}"
    backbone.spec = replace(
        backbone.spec, package=offer.package, notes=(*backbone.spec.notes, note)
    )
    backbone.seal()
    return backbone.eval()
