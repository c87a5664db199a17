"""One look: a measure of an encoder, or of two, taken once and kept."""

from __future__ import annotations

import hashlib
import json
import re
import time
from typing import TYPE_CHECKING, Any

import results
from harness.analysis import encoders, images, keeping, recording
from harness.analysis.asking import BETWEEN, TASK
from harness.console import totals
from harness.errors import UserError
from results.record import NAME

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.analysis.asking import Inspection, Look
    from harness.analysis.encoders import Subject
    from harness.analysis.images import Images
    from harness.analysis.rows import Found
    from harness.console import Console
    from results import Record

VERSION = 1
"""Of the measures; where what one means is changed, this is."""


def carry_out(asked: Inspection, look: Look, console: Console) -> tuple[Record, Found]:
    """Take a look, or read what it found before.

    Raises:
        UserError, LoadError, DataError, ResultsError: what the user can mend.
    """
    began = time.monotonic()
    subjects = [encoders.open_subject(name, asked.input_size, console) for name in look.names]
    seen = _images(asked, subjects, console)
    identity = _identity(asked, look, subjects, seen)
    cell = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    name = re.sub(r"[^\w.@-]+", "_", "-".join(subject.name for subject in subjects))
    folder = asked.output / TASK / name / cell[:12]
    if (folder / NAME).is_file():
        before = results.read(folder)
        if before.cell == cell:
            console.note(f"cell {cell[:12]} is finished: {folder}")
            return before, keeping.read(before, folder)
    found = _measured(asked, look, subjects, seen, console)
    record = recording.finished(asked, look, subjects, identity, cell, found)
    files = keeping.write(found, folder)
    cost = record.cost | {"wall_seconds": time.monotonic() - began}
    record = record.model_copy(update={"files": files, "cost": cost})
    results.write(record, folder)
    return record, found


def _images(asked: Inspection, subjects: Sequence[Subject], console: Console) -> Images:
    sizes = {subject.backbone.input_size for subject in subjects}
    if len(sizes) > 1:
        each = ", ".join(f"{s.name} {s.backbone.input_size}" for s in subjects)
        raise UserError(f"encoders of different input sizes ({each}): give --input-size")
    with console.phase(f"prepare {asked.source}", None, "images") as advance:
        return images.open_images(asked.source, asked.count, sizes.pop(), totals(advance))


def _identity(
    asked: Inspection, look: Look, subjects: Sequence[Subject], seen: Images
) -> dict[str, Any]:
    """What determines the values."""
    identity = {
        "measure": look.measure,
        "version": VERSION,
        "backbone": subjects[0].identity,
        "input_size": list(seen.size),
        "images": {"name": seen.name, "n": len(seen), "sha256": seen.sha256},
    }
    if look.measure == BETWEEN:
        identity |= {"other": subjects[1].identity, "pool": asked.pool}
    if look.measure == "attention":
        identity["convention"] = asked.convention
    if look.measure in ("similarity", BETWEEN):
        identity["minibatch"] = asked.minibatch
    return identity


def _measured(
    asked: Inspection, look: Look, subjects: Sequence[Subject], seen: Images, console: Console
) -> Found:
    import torch

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    networks = [subject.backbone.to(device) for subject in subjects]
    first = networks[0]
    size = asked.batch_size
    # Similarity goes through the images more than once, probes through others.
    total = len(seen) if look.measure in ("attention", "spectrum") else None
    with console.phase(str(look), total, "images") as advance:
        if look.measure == "attention":
            from harness.analysis import attention

            found = attention.measure(
                first,
                seen,
                batch_size=size,
                device=device,
                advance=advance,
                convention=asked.convention,
            )
            ours = asked.convention == attention.CONVENTIONS[0]
            return found if ours else found.by(asked.convention)
        if look.measure == "spectrum":
            from harness.analysis import spectrum

            return spectrum.measure(first, seen, batch_size=size, device=device, advance=advance)
        if look.measure == "probe":
            from harness.analysis import probing

            source = probing.microworld(seen.size)
            return probing.measure(
                first, source=source, batch_size=size, device=device, advance=advance
            )
        from harness.analysis import similarity

        if look.measure == BETWEEN:
            return similarity.between(
                first,
                networks[1],
                seen,
                batch_size=size,
                device=device,
                advance=advance,
                minibatch=asked.minibatch,
                pool=asked.pool,
            )
        return similarity.measure(
            first,
            seen,
            batch_size=size,
            device=device,
            advance=advance,
            minibatch=asked.minibatch,
        )
