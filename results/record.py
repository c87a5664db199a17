"""The record: one JSON file beside each run, the truth that the table is rebuilt from."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from results.files import ResultsError, write_text

NAME = "record.json"
SCHEMA = 1

Status = Literal["running", "finished", "interrupted", "failed"]


class Measured(BaseModel):
    """A figure with its sampling error (None where none is defined) over `n` samples."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    value: float
    error: float | None = None
    n: int
    better: Literal["higher", "lower"] = "higher"


class Record(BaseModel):
    """What is known of one cell's run.

    Figures are finite numbers: JSON has no others, and a metric that is not a number means a
    failed run.

    Attributes:
        schema_version: version of this layout.
        status: how far it came; `reason` and `step` say more where it did not end well.
        resumed_from_step: step of the state that the last process continued from, None in an
            undisturbed run.
        cell: sha256 of `identity`, which holds exactly what determines the numbers.
        files: name -> sha256 of the predictions, scores and curves beside the record.
        encoder_at_step0: hashes of the encoder's parameters in the trainer and in the file.
        cost: seconds, samples a second, bytes of memory, device, steps executed.
        created, updated: UTC, ISO 8601.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    schema_version: int = SCHEMA
    status: Status
    reason: str | None = None
    step: int = 0
    primary: str
    metrics: dict[str, Measured] = Field(default_factory=dict)
    evaluator: str | None = None
    resumed_from_step: int | None = None
    cell: str
    identity: dict[str, Any]
    task: str
    backbone: dict[str, Any]
    dataset: str
    protocol: str
    scale: str
    control: str | None = None
    seed: int
    recipe: dict[str, Any]
    key_report: dict[str, Any] = Field(default_factory=dict)
    data: dict[str, Any] = Field(default_factory=dict)
    encoder_at_step0: dict[str, Any] | None = None
    cost: dict[str, Any] = Field(default_factory=dict)
    files: dict[str, str] = Field(default_factory=dict)
    logger: dict[str, Any] = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=dict)
    git_commit: str | None = None
    command: str = ""
    created: str
    updated: str


def write(record: Record, folder: Path) -> Path:
    """Write `record.json` into the run's folder, whole or not at all."""
    path = folder / NAME
    write_text(path, record.model_dump_json(indent=1) + "\n")
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
    return parse(text, str(path))


def parse(text: str, place: str) -> Record:
    """The record that `text` holds; `place` names it in errors.

    Raises:
        ResultsError: truncated, malformed, or of a newer version.
    """
    try:
        version = _Version.model_validate_json(text).schema_version
        if version <= SCHEMA:
            return Record.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ResultsError(f"`{place}` is no whole record: {name}: {first['msg']}") from None
    raise ResultsError(
        f"`{place}` is of layout {version}, this version knows up to {SCHEMA}: update harness"
    )


class _Version(BaseModel):
    schema_version: int
