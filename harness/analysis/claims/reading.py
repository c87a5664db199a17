"""A file of claims, read or refused in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from harness.analysis.claims.model import Claims
from harness.errors import UserError


def shipped() -> Path:
    """The study's own claims: `studies/claims.yaml`, which a wheel has beside this module."""
    inside = Path(__file__).with_name("claims.yaml")
    return inside if inside.is_file() else Path(__file__).parents[3] / "studies" / inside.name


def read(path: Path) -> Claims:
    """The claims in a YAML file.

    Raises:
        UserError: the file cannot be read, or is no file of claims.
    """
    try:
        values: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(
            f"cannot read the claims `{path}`: {error.strerror}; give a file as studies/claims.yaml"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" at line {mark.line + 1}" if mark is not None else ""
        raise UserError(f"the claims `{path}` are not valid YAML{line}") from None
    try:
        return Claims.model_validate(values)
    except ValidationError as error:
        raise UserError(f"the claims `{path}`: {_first(error, values)}") from None


def _first(error: ValidationError, values: Any) -> str:
    """The first problem, with the claim that it is in."""
    problem, more = error.errors()[0], error.error_count() - 1
    place = list(problem["loc"])
    if place[:1] == ["claims"] and len(place) > 1:
        claim = values["claims"][place[1]]
        if isinstance(claim, dict) and "id" in claim:
            place[:2] = [str(claim["id"])]
    words = problem["msg"].removeprefix("Value error, ")
    given = problem["input"]
    got = f", got {given!r}" if isinstance(given, str | int | float) else ""
    name = ".".join(map(str, place))
    said = f"`{name}`: {words}{got}" if name else words
    return f"{said} ({more} more)" if more else said
