"""The named encoders: what `catalogue.toml` says, and which of them stands for an objective."""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from backbones.errors import LoadError

SHIPPED = Path(__file__).parent / "shipped"


@dataclass(frozen=True)
class Entry:
    """One named encoder.

    Attributes:
        name: as given to `load`.
        objective: what it was pre-trained for.
        format: the layout of its file.
        file: the file's name in the cache, or its path under `shipped`.
        source: where it is had: "shipped", an https address, or "drive:<id>" (by hand).
        input_size: side of the training images in pixels.
        licence: terms of the weights.
        data: what it was pre-trained on.
        about: one line for lists.
        sha256: hash of the file where one is known.
        md5_prefix: beginning of the MD5 hash where the owners publish only that.
        sha256_prefix: beginning of the SHA-256 hash where the owners publish only that.
    """

    name: str
    objective: str
    format: str
    file: str
    source: str
    input_size: int
    licence: str
    data: str
    about: str
    sha256: str | None = None
    md5_prefix: str | None = None
    sha256_prefix: str | None = None

    @property
    def shipped(self) -> bool:
        """Whether it comes with the package."""
        return self.source == "shipped"

    @property
    def shipped_path(self) -> Path:
        """Where a shipped encoder lies."""
        return SHIPPED / self.file


def catalogue() -> dict[str, Entry]:
    """Return every named encoder."""
    return {name: Entry(name=name, **fields) for name, fields in _toml()["encoders"].items()}


def objectives() -> dict[str, dict[str, str]]:
    """Return objective -> scale -> the encoder that stands for it."""
    return {name: dict(scales) for name, scales in _toml()["objectives"].items()}


def resolve(name: str, scale: str) -> str:
    """Return what `load` takes for `name` at a scale: a file, a timm or catalogue name stays what
    it is, an objective becomes the encoder that stands for it.

    Raises:
        LoadError: an unknown name, or an objective that no encoder stands for at this scale.
    """
    if name in catalogue() or is_timm_name(name) or is_path(name):
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


def unknown(name: str) -> LoadError:
    """Return the error for a name that nothing has, with the nearest ones."""
    names = [*catalogue(), *objectives()]
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names)}"
    return LoadError(f"unknown encoder {name!r}; {hint} A file is given by its path.")


@cache
def _toml() -> dict[str, Any]:
    with (Path(__file__).parent / "catalogue.toml").open("rb") as file:
        return tomllib.load(file)
