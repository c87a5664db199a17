"""What a user sees before anything is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.engine.fit import workers
from harness.engine.surroundings import device_name
from harness.recipes import recipe_file

if TYPE_CHECKING:
    from harness.console import Console
    from harness.engine.plan import Plan


def header(plan: Plan, console: Console) -> None:
    """Encoder, key report, data, device, batch, and where the output goes."""
    recipe, spec = plan.recipe, plan.backbone.spec
    millions = sum(p.numel() for p in plan.backbone.parameters()) / 1e6
    control = f", control {plan.options.control}" if plan.options.control else ""
    rows = [
        (
            "encoder",
            f"{spec.name} ({spec.objective}, {spec.family}, {millions:.1f} M parameters, "
            + (f"file {spec.sha256[:12]})" if spec.sha256 else "made anew)"),
        ),
        ("keys", plan.backbone.key_report.line()),
        *(("", note) for note in spec.notes),
        (
            "task",
            f"{plan.task.name} on {recipe.data.name}, scale {recipe.scale}, "
            f"{recipe.protocol}{control}, seed {plan.options.seed}",
        ),
        ("recipe", recipe_file(plan.options).stem),
        *(("", line) for line in plan.derived),
        ("data", "; ".join(_counts(plan))),
        _fit(plan),
        (
            "device",
            f"{device_name()}, {plan.options.devices or 1} process(es), "
            f"{workers(plan)} loader worker(s)",
        ),
        ("output", str(plan.folder)),
    ]
    console.header("harness run", rows)


def _fit(plan: Plan) -> tuple[str, str]:
    recipe, probe = plan.recipe, plan.probe
    height, width = recipe.backbone.input_size
    common = f"{height}x{width} px, precision {recipe.train.precision}"
    if probe is not None:
        return "probe", f"{probe.description}, {common}"
    return (
        "training",
        f"{plan.stop} steps, effective batch {recipe.train.batch_size}, "
        f"lr {recipe.optimizer.lr:g}, {common}",
    )


def _counts(plan: Plan) -> list[str]:
    counts = []
    for split, data in plan.datasets.items():
        skipped = ", ".join(f"{n} skipped: {why}" for why, n in data.info.skipped.items() if n)
        counts.append(f"{split} {data.info.count} samples" + (f" ({skipped})" if skipped else ""))
    return counts
