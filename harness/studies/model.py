"""A study file: a question, and the cells whose numbers answer it."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from harness.errors import UserError
from harness.options import MAX_SEED, RunOptions

Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]
FIELDS = tuple(field.name for field in fields(RunOptions) if field.name != "seed")


class StudyCell(BaseModel):
    """One row of a study: `name`, and beside it the options that differ from the base."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, description="name of the row")
    options: dict[str, Any] = Field({}, description="options of `harness run`")

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        rest = {key: value for key, value in values.items() if key != "name"}
        return {key: values[key] for key in ("name",) if key in values} | {"options": rest}


class Curve(BaseModel):
    """What a study draws: the score over a setting, a line for each combination of others.

    Names are those of options, as `backbone`, or of recipe fields, as `backbone.drop_last`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    over: str = Field(min_length=1, description="the setting that goes across, a number")
    by: tuple[str, ...] = Field((), description="settings that tell lines apart")

    @property
    def fields(self) -> tuple[str, ...]:
        """The recipe fields among them, in which the cells of a curve differ by intent."""
        return tuple(name for name in (self.over, *self.by) if "." in name)


class Study(BaseModel):
    """A study file.

    Option names are those of `harness run`, without the dashes in front; `set` is a mapping of
    recipe fields to values, and a cell's are added to the base's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, description="name of the study")
    question: str = Field(description="what the numbers are to answer")
    base: dict[str, Any] = Field({}, description="options that all cells share")
    cells: tuple[StudyCell, ...] = Field(min_length=1, description="the rows of the table")
    seeds: tuple[Seed, ...] = Field((0, 1, 2), min_length=1, description="one run a seed and row")
    reference: str | None = Field(
        None,
        description="row that others of its task are compared with; the task's first by default",
    )
    apart: tuple[str, ...] = Field(
        (),
        description="entries of the setting, as recipe.model, in which cells may differ "
        "and are compared all the same: where they are the question",
    )
    curve: Curve | None = Field(None, description="what is drawn, if anything")

    @model_validator(mode="after")
    def _names_are_sound(self) -> Study:
        names = [cell.name for cell in self.cells]
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise ValueError(f"cells share the name {', '.join(doubled)}")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"a seed stands twice in {list(self.seeds)}")
        if self.reference not in (None, *names):
            raise ValueError(f"`reference: {self.reference}` names no cell")
        return self

    @model_validator(mode="after")
    def _curve_is_given(self) -> Study:
        if self.curve is None:
            return self
        over = self.curve.over
        for cell in self.cells:
            value = self.value(cell, over)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ValueError(
                    f"`curve.over: {over}` must be a number in every cell, in `{cell.name}` it is "
                    f"{value!r}"
                )
        return self

    def value(self, cell: StudyCell, name: str) -> Any:
        """What the study gives an option or a recipe field in a cell; None where it does not."""
        if "." not in name:
            return (self.base | cell.options).get(name)
        given = [options.get("set") for options in (self.base, cell.options)]
        sets = [each for each in given if isinstance(each, dict)]
        return next((each[name] for each in reversed(sets) if name in each), None)

    @property
    def differing(self) -> tuple[str, ...]:
        """Entries of the setting in which cells may differ: `apart`, and what a curve is over."""
        fields = () if self.curve is None else self.curve.fields
        return (*self.apart, *(f"recipe.{field}" for field in fields))


@dataclass(frozen=True)
class Job:
    """One run of a study: a row and a seed."""

    cell: str
    options: RunOptions


def read(path: Path) -> Study:
    """The study in a YAML file.

    Raises:
        UserError: the file cannot be read, or is no study.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read the study `{path}`: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        place = getattr(error, "problem_mark", None)
        line = f" at line {place.line + 1}" if place is not None else ""
        raise UserError(f"the study `{path}` is not valid YAML{line}") from None
    try:
        return Study.model_validate(values)
    except ValidationError as error:
        raise UserError(f"the study `{path}`: {_problems(error)}") from None


def expand(study: Study, given: RunOptions | None = None) -> list[Job]:
    """The runs of a study, all cells for the first seed, then for the next.

    Args:
        study: the study.
        given: what options have where the study does not say, such as the output folder.

    Raises:
        UserError: an option that `harness run` lacks, or a value of the wrong type.
    """
    jobs = []
    for seed in study.seeds:
        for cell in study.cells:
            options = replace(given or RunOptions(), seed=seed)
            options = _with(options, study.base, "base")
            options = _with(options, cell.options, f"cell `{cell.name}`")
            jobs.append(Job(cell=cell.name, options=options))
    return jobs


def _with(options: RunOptions, values: dict[str, Any], where: str) -> RunOptions:
    changed: dict[str, Any] = {}
    for key, value in values.items():
        name = key.replace("-", "_")
        if name == "set":
            changed["sets"] = (*options.sets, *_assignments(value, where))
        elif name in FIELDS and name != "sets":
            changed[name] = value
        else:
            known = ["set", *(field.replace("_", "-") for field in FIELDS if field != "sets")]
            near = get_close_matches(key, known, n=3, cutoff=0.5) or known
            listed = ", ".join(f"`{option}`" for option in near)
            raise UserError(f"{where}: there is no option `{key}`; there is {listed}")
    whole = {field.name: getattr(options, field.name) for field in fields(options)} | changed
    try:
        return TypeAdapter(RunOptions).validate_python(whole)
    except ValidationError as error:
        raise UserError(f"{where}: {_problems(error)}") from None


def _assignments(value: Any, where: str) -> list[str]:
    if not isinstance(value, dict):
        raise UserError(f"{where}: `set` must map recipe fields to values, got {value!r}")
    return [f"{key}={json.dumps(setting)}" for key, setting in value.items()]


def _problems(error: ValidationError) -> str:
    parts = []
    for problem in error.errors():
        place = ".".join(str(part) for part in problem["loc"])
        message = problem["msg"].removeprefix("Value error, ")
        got = "" if problem["type"] == "missing" or not place else f", got {problem['input']!r}"
        parts.append(f"`{place}`: {message}{got}" if place else message)
    return "; ".join(parts)
