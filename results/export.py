"""Records as one flat row each, for tables and for other programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from results.files import write_text
from results.predictions import write_columns
from results.record import Record

FORMATS = ("csv", "json", "parquet")

Row = dict[str, Any]


def flat(record: Record) -> Row:
    """The columns of `harness results list` and of exports; every metric follows by its name, its
    sampling error as `NAME error` and its number of samples as `NAME n`."""
    figure = record.metrics.get(record.primary)
    row: Row = {
        "cell": record.cell,
        "status": record.status,
        "task": record.task,
        "backbone": record.backbone["name"],
        "backbone_sha256": record.backbone.get("sha256"),
        "objective": record.backbone.get("objective"),
        "dataset": record.dataset,
        "variant": record.variant,
        "scale": record.scale,
        "protocol": record.protocol,
        "control": record.control,
        "seed": record.seed,
        "primary": record.primary,
        "value": None if figure is None else figure.value,
        "error": None if figure is None else figure.error,
        "n": None if figure is None else figure.n,
        "updated": record.updated,
    }
    for name, metric in record.metrics.items():
        row |= {name: metric.value, f"{name} error": metric.error, f"{name} n": metric.n}
    return row


def export(records: Sequence[Record], path: Path, form: str) -> None:
    """Write records to a file: `csv` and `parquet` flat, `json` whole.

    Raises:
        OSError: the file cannot be written.
    """
    if form == "json":
        whole = [record.model_dump(mode="json") for record in records]
        write_text(path, json.dumps(whole, indent=1, ensure_ascii=False) + "\n")
        return
    rows = [flat(record) for record in records]
    names = list(dict.fromkeys(name for row in rows for name in row))
    if form == "parquet":
        write_columns({name: [row.get(name) for row in rows] for name in names}, path)
        return
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())
