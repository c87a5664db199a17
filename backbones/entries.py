"""The named encoders: what is known of each, and which of them stands for an objective."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from backbones.arguments import Colour
from backbones.errors import LoadError
from backbones.families import GROUP
from backbones.offers import Offer, offered, offers

SHIPPED = Path(__file__).parent / "shipped"


@dataclass(frozen=True)
class Entry:
    """One named encoder.

    Attributes:
        name: as given to `load`.
        objective: what it was pre-trained for.
        family: the architecture's family.
        format: the layout of its file.
        file: the file's name in the cache, or its path under `shipped`.
        source: where it is had: "shipped", an https address, or by hand: "drive:<id>" of Google
            Drive, "page:<https address>" where one has to register.
        input_size: side of the training images in pixels.
        mean, std: of the input's red, green and blue in [0,1].
        pool: what `pooled` takes: "class_token"; "mean", of what the final norm gives;
            "mean_fc_norm", a norm of the mean without it; or "attention".
        licence: terms of the weights.
        data: what it was pre-trained on.
        about: one line for lists.
        evidence: what was checked of it, and what was not.
        sha256: hash of the file where one is known.
        md5_prefix: beginning of the MD5 hash where the owners publish only that.
        sha256_prefix: beginning of the SHA-256 hash where the owners publish only that.
        size: of the file in bytes where it is known.
        arch: fields of the architecture that neither the file nor its layout tells.
    """

    name: str
    objective: str
    family: str
    format: str
    file: str
    source: str
    input_size: int
    mean: Colour
    std: Colour
    pool: str
    licence: str
    data: str
    about: str
    evidence: str
    sha256: str | None = None
    md5_prefix: str | None = None
    sha256_prefix: str | None = None
    size: int | None = None
    arch: Mapping[str, Any] = field(default_factory=dict)

    @property
    def shipped(self) -> bool:
        """Whether it comes with the package."""
        return self.source == "shipped"

    @property
    def shipped_path(self) -> Path:
        """Where a shipped encoder lies."""
        return SHIPPED / self.file

    @property
    def by_hand(self) -> bool:
        """Whether nothing but a person can download it."""
        return self.source.startswith(("drive:", "page:"))

    @property
    def address(self) -> str:
        """Where a person finds it: an https address, or "shipped"."""
        if self.source.startswith("drive:"):
            return f"https://drive.google.com/file/d/{self.source.removeprefix('drive:')}"
        return self.source.removeprefix("page:")

    def overrides(self, keys: Collection[str]) -> dict[str, Any]:
        """Return what loading takes from here before all that file and layout say.

        Args:
            keys: the fields of the family's architecture; one without a choice of pooling has none
                for it.
        """
        pool = {"pool": self.pool} if "pool" in keys else {}
        return {"mean": self.mean, "std": self.std, **pool, **self.arch}


@dataclass(frozen=True)
class Pair:
    """Two encoders that the study compares.

    Attributes:
        encoders: their names.
        compared: in what.
        evidence: how far it is known that the study compares them.
        differs: each point beside the objective in which the two differ -> its value for either.
    """

    encoders: tuple[str, str]
    compared: str
    evidence: str
    differs: Mapping[str, tuple[str, str]]


def catalogue() -> dict[str, Entry]:
    """Return every named encoder."""
    return dict(_read()[0])


def objectives() -> dict[str, dict[str, str]]:
    """Return objective -> scale -> the encoder that stands for it."""
    return {name: dict(scales) for name, scales in _read()[1].items()}


def pairs(name: str | None = None) -> tuple[Pair, ...]:
    """Return the pairs that the study compares, or those that one encoder is in."""
    return tuple(pair for pair in _read()[2] if name is None or name in pair.encoders)


def named(name: str) -> Entry:
    """Return the encoder of that name.

    Raises:
        LoadError: an objective, or an unknown name.
    """
    found = catalogue().get(name)
    if found is not None:
        return found
    if name in objectives():
        raise depends_on_scale(name)
    if offer := outside(name):
        raise LoadError(
            f"{offer.who} is no entry of the catalogue: `harness list backbones` says what it is"
        )
    raise unknown(name)


def resolve(name: str, scale: str) -> str:
    """Return what `load` takes for `name` at a scale: a file, a timm or catalogue name stays what
    it is, an objective becomes the encoder that stands for it.

    Raises:
        LoadError: an unknown name, or an objective that no encoder stands for at this scale.
    """
    if outside(name) or name in catalogue() or is_timm_name(name) or is_path(name):
        return name
    scales = objectives().get(name)
    if scales is None:
        raise unknown(name)
    if scale not in scales:
        served = ", ".join(f"{entry} ({at})" for at, entry in scales.items())
        raise LoadError(
            f"no encoder stands for {name!r} at scale {scale!r}; "
            f"full names work at every scale: {served}"
        )
    return scales[scale]


def outside(name: str) -> Offer | None:
    """Return who offers an encoder of that name from another package (`backbones.outside`).

    A name that has a meaning here keeps it; `RefusedOffer` warns of an offer under it.

    Raises:
        LoadError: a name that several packages offer.
    """
    return offered(GROUP, name, {name} if is_taken(name) else ())


def is_taken(name: str) -> bool:
    """Whether a name has a meaning here, so that no package can offer an encoder under it."""
    # `random` is what the application calls the control without pre-training.
    return is_timm_name(name) or name in {*catalogue(), *objectives(), "random"}


def is_timm_name(name: str) -> bool:
    """Whether it names an architecture of timm: `timm:<name>.<tag>`."""
    return name.startswith("timm:")


def is_path(name: str) -> bool:
    """Whether it can only be meant as a file."""
    return "/" in name or "\\" in name or Path(name).suffix != "" or _is_file(name)


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except OSError:  # a name longer than the system takes
        return False


def depends_on_scale(objective: str) -> LoadError:
    """Return the error for an objective where an encoder is needed."""
    standing = ", ".join(sorted(set(objectives()[objective].values())))
    return LoadError(
        f"{objective!r} is an objective; which encoder stands for it depends on the scale: "
        f"{standing}"
    )


def unknown(name: str) -> LoadError:
    """Return the error for a name that nothing has, with the nearest ones."""
    theirs = [offer.name for offer in offers(GROUP) if not is_taken(offer.name)]
    names = [*catalogue(), *objectives(), *theirs]
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names)}."
    return LoadError(f"unknown encoder {name!r}; {hint} A file is given by its path.")


@cache
def _read() -> tuple[dict[str, Entry], dict[str, dict[str, str]], tuple[Pair, ...]]:
    from backbones.catalogue_file import read

    return read(Path(__file__).parent / "catalogue.toml")
