"""What a checkpoint file is taken for, and why: `harness backbone check FILE`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backbones import fetch, files
from backbones.download import Progress
from backbones.loading import load


def check(
    path: str | Path,
    arch: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> str:
    """Load a file with every part dropped that can be, and describe what was recognised.

    Args:
        path: of the file, or a name.
        arch: what the file does not tell, as `load` takes it.
        progress: told of a download, as `load` does.

    Raises:
        LoadError: it cannot be loaded.
    """
    located = fetch.locate(str(path), progress)
    checkpoint = files.read(located.path)
    backbone = load(path, arch=arch)
    report, spec = backbone.key_report, backbone.spec
    height, width = backbone.input_size
    where = f"under {checkpoint.wrapper!r}" if checkpoint.wrapper else "at the top level"
    lines = [
        f"file       {located.path}",
        f"sha256     {checkpoint.sha256}",
        f"container  {checkpoint.container}, state dict {where}"
        + (", prefix module. taken off" if checkpoint.stripped else ""),
        f"format     {report.format}: {report.reason}",
        f"family     {spec.family}, objective {spec.objective}",
        "arch       " + ", ".join(f"{key}={value}" for key, value in spec.arch.items()),
        f"input      {height}x{width}, mean {spec.mean}, std {spec.std}",
        f"tensors    {report.line()}",
    ]
    lines += [f"beside     {', '.join(report.beside)}"] if report.beside else []
    lines += [f"note       {note}" for note in spec.notes]
    return "\n".join(lines)
