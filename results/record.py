"""The record: one JSON file beside each run, the truth that the table is rebuilt from."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from results.files import ResultsError, write_text

NAME = "record.json"
SCHEMA = 1

Status = Literal["running", "finished", "interrupted", "failed"]


def _utc(text: str) -> str:
    if datetime.fromisoformat(text).utcoffset() != timedelta(0):
        raise ValueError(f"`{text}` is not a time in UTC")
    return text


Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Time = Annotated[str, AfterValidator(_utc)]
"""UTC, ISO 8601."""


class Measured(BaseModel):
    """A figure with its sampling error (None where none is defined) over `n` samples."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    value: float
    error: Annotated[float, Field(ge=0)] | None = None
    n: Annotated[int, Field(ge=0)]
    better: Literal["higher", "lower"] = "higher"


class Record(BaseModel):
    """What is known of one cell's run.

    Numbers are finite: JSON has no others, and a metric that is not a number means a failed run.

    Attributes:
        schema_version: version of this layout.
        kind: "run": a cell of a task; "inspection": a look inside an encoder, whose `task` is
            "inspection" and whose `protocol` is the measure.
        status: how far it came; `reason` and `step` say more where it did not end well.
        primary: name of the metric that ranks encoders.
        resumed_from_step: step of the state that the last process continued from, None in an
            undisturbed run.
        cell: sha256 of `identity`.
        identity: exactly what determines the numbers. Its entries `backbone`, `told` (what its
            file does not say), `seed` and `control` tell runs of one setting apart; all other
            entries are the setting.
        recipe: every setting in force; `derived` says what in it followed from the encoder.
        variant: what tells results of one data set, protocol and scale apart, such as a label set.
        files: name -> sha256 of the predictions, scores and curves beside the record.
        encoder_at_step0: hashes of the encoder's parameters in the trainer and in the file.
        choice: what the selection split chose, and among which candidates; None where it chose
            nothing.
        cost: seconds, samples a second, bytes of memory, device, steps executed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    schema_version: int = SCHEMA
    kind: Literal["run", "inspection"] = "run"
    status: Status
    reason: str | None = None
    step: Annotated[int, Field(ge=0)] = 0
    primary: str
    metrics: dict[str, Measured] = Field(default_factory=dict)
    evaluator: str | None = None
    resumed_from_step: int | None = None
    cell: Sha256
    identity: dict[str, Any]
    task: str
    backbone: dict[str, Any]
    dataset: str
    protocol: str
    variant: str = ""
    scale: str
    control: str | None = None
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    recipe: dict[str, Any]
    derived: list[str] = Field(default_factory=list)
    key_report: dict[str, Any] = Field(default_factory=dict)
    data: dict[str, Any] = Field(default_factory=dict)
    encoder_at_step0: dict[str, Any] | None = None
    choice: dict[str, Any] | None = None
    cost: dict[str, Any] = Field(default_factory=dict)
    files: dict[str, str] = Field(default_factory=dict)
    logger: dict[str, Any] = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=dict)
    git_commit: str | None = None
    command: str = ""
    created: Time
    updated: Time

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.status == "finished" and self.primary not in self.metrics:
            raise ValueError(f"a finished run has its primary metric `{self.primary}`")
        if not isinstance(self.backbone.get("name"), str):
            raise ValueError("`backbone.name` must be a text")
        for name in type(self).model_fields:
            for place, number in _not_finite(getattr(self, name), name):
                raise ValueError(f"`{place}` is {number}, which JSON does not have")
        return self

    def figure(self) -> Measured:
        """The primary metric; a KeyError where the run is not finished."""
        return self.metrics[self.primary]

    def to_json(self) -> str:
        """The record as text, checked; equal records give equal text.

        Raises:
            ResultsError: it is not one that `parse` would accept, a number not finite for example.
        """
        try:
            checked = type(self).model_validate(self.model_dump())
        except ValidationError as error:
            raise ResultsError(f"the record cannot be kept: {_first(error)}") from None
        return json.dumps(checked.model_dump(mode="json"), indent=1, ensure_ascii=False) + "\n"


def write(record: Record, folder: Path) -> Path:
    """Write `record.json` into the run's folder, whole or not at all.

    Raises:
        ResultsError: the record is malformed.
        OSError: the file cannot be written; an earlier record stays.
    """
    path = folder / NAME
    write_text(path, record.to_json())
    return path


def read(path: Path) -> Record:
    """Read a record from its file or its run's folder.

    Raises:
        ResultsError: missing, truncated, malformed, or of a newer version.
    """
    path = path / NAME if path.is_dir() else path
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ResultsError(f"cannot read the record `{path}`: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ResultsError(f"`{path}` is no record: it is not UTF-8 text") from None
    return parse(text, str(path))


def parse(text: str, place: str) -> Record:
    """The record that `text` holds; `place` names it in errors.

    Raises:
        ResultsError: truncated, malformed, or of a newer version.
    """
    try:
        content = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        where = "truncated or malformed JSON" if text.strip() else "the file is empty"
        raise ResultsError(f"`{place}` is no whole record: {where} ({error})") from None
    version = content.get("schema_version") if isinstance(content, dict) else None
    if not isinstance(version, int):
        raise ResultsError(f"`{place}` is no record: it has no `schema_version`")
    if version > SCHEMA:
        raise ResultsError(
            f"`{place}` is of layout {version}, this version knows up to {SCHEMA}: update harness"
        )
    try:
        return Record.model_validate(content)
    except ValidationError as error:
        raise ResultsError(f"`{place}` is no whole record: {_first(error)}") from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _first(error: ValidationError) -> str:
    """The first problem in words."""
    problem = error.errors()[0]
    name = ".".join(str(part) for part in problem["loc"])
    words = problem["msg"].removeprefix("Value error, ")
    return f"`{name}`: {words}" if name else words


def _not_finite(value: Any, place: str) -> Iterator[tuple[str, float]]:
    if isinstance(value, float) and not math.isfinite(value):
        yield place, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _not_finite(inner, f"{place}.{key}")
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield from _not_finite(inner, f"{place}.{number}")
