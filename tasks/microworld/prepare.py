"""Fill the files of a data set, with any number of processes."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from tasks.microworld import ranges
from tasks.microworld.worker import Job, run

if TYPE_CHECKING:
    from tasks.microworld.world import Microworld

Progress = Callable[[int, int], None]

_SMALL = 64


def fill(
    folder: Path, world: "Microworld", progress: Progress | None, workers: int | None
) -> list[str]:
    """Write all files of a data set into an empty folder and return their names."""
    rows = world.count * world.frames_per_sample
    layers: dict[str, tuple[str, tuple[int, ...]]] = {"images": ("uint8", (rows, *world.size, 3))}
    if world.labelled:
        layers["depth"] = ("uint16", (rows, *world.size))
        layers["instances"] = ("uint8", (rows, *world.size))
    for name, (dtype, shape) in layers.items():
        _allocate(folder / f"{name}.npy", np.dtype(dtype), shape)
    if workers is None:
        workers = 0 if rows < _SMALL else _cores()
    jobs = _jobs(folder, world, max(1, workers))
    done = 0

    def report(new: int) -> None:
        nonlocal done
        done += new
        if progress is not None:
            progress(done, world.count)

    if workers:
        _run_beside(jobs, report)
    else:
        for job in jobs:
            run(job, report)
    names = [f"{name}.npy" for name in layers]
    if world.labelled:
        _join(folder)
        names.append("annotations.jsonl")
    return names


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _allocate(path: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    """Create an array file; a full disk is told here and not by a signal when it is written."""
    np.lib.format.open_memmap(path, "w+", dtype, shape).flush()
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


def _jobs(folder: Path, world: "Microworld", workers: int) -> list[Job]:
    edges = [world.count * n // workers for n in range(workers + 1)]
    return [
        Job(
            str(folder),
            world.kind,
            world.seed,
            ranges.first_index(world.split),
            world.size,
            world.labelled,
            start,
            stop,
        )
        for start, stop in pairwise(edges)
        if stop > start
    ]


def _run_beside(jobs: list[Job], report: Callable[[int], None]) -> None:
    """Run each job in a process of its own; end them all when one fails or we are interrupted."""
    path = os.pathsep.join(p or str(Path.cwd()) for p in sys.path)
    environment = {**os.environ, "PYTHONPATH": path}
    command = [sys.executable, "-c", "from tasks.microworld.worker import main; main()"]
    processes = [
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for _ in jobs
    ]
    news: SimpleQueue[int | None] = SimpleQueue()
    errors: list[str] = []

    def follow(output: IO[str]) -> None:
        for line in output:
            news.put(int(line))
        news.put(None)

    try:
        for process, job in zip(processes, jobs, strict=True):
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write(json.dumps(asdict(job)))
            process.stdin.close()
            Thread(target=follow, args=(process.stdout,), daemon=True).start()
        running = len(processes)
        while running:
            new = news.get()
            if new is None:
                running -= 1
            else:
                report(new)
        for process in processes:
            assert process.stderr is not None
            text = process.stderr.read()
            if process.wait() != 0:
                last = text.strip().splitlines()[-1:]
                errors.append(last[0] if last else f"exit status {process.returncode}")
    finally:
        for process in processes:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None:
                    stream.close()
    if errors:
        raise OSError(f"a rendering process failed: {errors[0]}")


def _join(folder: Path) -> None:
    parts = sorted(folder.glob("annotations-*.part"))
    with (folder / "annotations.jsonl").open("wb") as whole:
        for part in parts:
            whole.write(part.read_bytes())
            part.unlink()
