"""An encoder behind the interface against the bare network of timm: loading, running, attention.

Run: python -m benchmarks.encoders [--repeats N] [--threads N]. A ViT-B/16 with random weights.
Loading is measured in fresh processes, imports left out of the time but not of the memory: ours
against building timm's network, `torch.load` and a strict `load_state_dict`. All pairs are
interleaved and their order alternates.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import timm
import torch
from torch import Tensor

import backbones

NAME = "vit_base_patch16_224"
BATCH = 4


def bare(path: Path) -> torch.nn.Module:
    """Timm's network with the file's weights, as one writes it by hand."""
    model = timm.create_model(NAME, num_classes=0)
    model.load_state_dict(torch.load(path, weights_only=True), strict=True)
    return model.eval()


def child(side: str, path: Path) -> None:
    """Load once in this process; print seconds and the peak of memory in MiB."""
    began = time.perf_counter()
    loaded = backbones.load(path) if side == "ours" else bare(path)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    assert isinstance(loaded, torch.nn.Module)
    print(json.dumps({"seconds": seconds, "MiB": peak}))


def fresh(side: str, path: Path, threads: int) -> dict[str, float]:
    """`child` in a process of its own."""
    words = [sys.executable, "-m", "benchmarks.encoders", "--child", side, str(path)]
    said = subprocess.run(
        [*words, "--threads", str(threads)], capture_output=True, text=True, check=True
    )
    return dict(json.loads(said.stdout))


def loading(path: Path, repeats: int, threads: int) -> None:
    """Print time and memory of loading, ours as a multiple of the bare way's."""
    found: dict[str, list[dict[str, float]]] = {"ours": [], "bare": []}
    for repeat in range(repeats):
        for side in _alternating(repeat, "ours", "bare"):
            found[side].append(fresh(side, path, threads))
    for unit in ("seconds", "MiB"):
        ours, theirs = ([each[unit] for each in found[side]] for side in ("ours", "bare"))
        report(f"load, {unit}", ours, theirs)


def running(path: Path, repeats: int) -> None:
    """Print what a step through the interface takes as a multiple of the bare network's."""
    ours, theirs = backbones.load(path), bare(path)
    images = torch.rand(BATCH, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    normalised = (images - ours.mean) / ours.std
    with torch.inference_mode():
        difference = (ours.pooled(images) - theirs(normalised)).abs().max()
    print(f"largest difference of the pooled features: {float(difference):.1e}")

    def forward(run: Callable[[], Tensor]) -> Callable[[], None]:
        def call() -> None:
            with torch.inference_mode():
                run()

        return call

    def backward(run: Callable[[], Tensor], model: torch.nn.Module) -> Callable[[], None]:
        def call() -> None:
            run().square().mean().backward()
            model.zero_grad()

        return call

    def through() -> Tensor:
        return ours.pooled(images)

    def straight() -> Tensor:
        return torch.as_tensor(theirs((images - ours.mean) / ours.std))

    def attended() -> Tensor:
        return torch.stack([each.probabilities.mean() for each in ours.attention(images)])

    pairs = (
        ("forward", forward(through), forward(straight)),
        ("forward and backward", backward(through, ours), backward(straight, theirs)),
        ("attention of all blocks against a forward", forward(attended), forward(through)),
    )
    for name, one, other in pairs:
        one(), other()
        times: dict[str, list[float]] = {"one": [], "other": []}
        for repeat in range(repeats):
            for side in _alternating(repeat, "one", "other"):
                began = time.perf_counter()
                (one if side == "one" else other)()
                times[side].append(time.perf_counter() - began)
        report(f"{name}, seconds", times["one"], times["other"])


def report(name: str, ours: list[float], theirs: list[float]) -> None:
    """Print the medians and the median of the ratios of pairs, with their range."""
    ratios = sorted(a / b for a, b in zip(ours, theirs, strict=True))
    print(
        f"{name:<52} {statistics.median(ours):9.3f} against {statistics.median(theirs):9.3f}: "
        f"{statistics.median(ratios):.3f}x ({ratios[0]:.3f} to {ratios[-1]:.3f})",
        flush=True,
    )


def _alternating(repeat: int, first: str, second: str) -> tuple[str, str]:
    return (first, second) if repeat % 2 == 0 else (second, first)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--child", nargs=2, metavar=("SIDE", "FILE"))
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.child:
        child(given.child[0], Path(given.child[1]))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vit_base.pth"
        torch.manual_seed(0)
        torch.save(timm.create_model(NAME, num_classes=0).state_dict(), path)
        loading(path, given.repeats, given.threads)
        running(path, 3 * given.repeats)


if __name__ == "__main__":
    main()
