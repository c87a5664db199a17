"""Experiment loggers beside the curves that every run keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.errors import UserError

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger

    from harness.engine.plan import Plan


TENSORBOARD = "tensorboard"


def loggers(plan: Plan) -> list[Logger]:
    """What `--logger` asks for; `csv` is the run's own curves.csv and needs nothing more.

    A run that continues goes on in the same logger run, since its id is the cell's.

    Raises:
        UserError: wandb is not installed, not logged in, or cannot be reached.
    """
    from harness.console import is_main_process

    if run_id(plan) is None or not is_main_process():
        return []
    if plan.options.logger == "tensorboard":
        from lightning.pytorch.loggers import TensorBoardLogger

        return [TensorBoardLogger(plan.folder, name=None, version=TENSORBOARD)]
    return [_wandb(plan)]


def _wandb(plan: Plan) -> Logger:
    try:
        import wandb
    except ModuleNotFoundError:
        raise UserError("--logger wandb needs the package `wandb`: install it") from None
    from lightning.pytorch.loggers import WandbLogger

    try:
        run = wandb.init(
            project="harness",
            name=f"{plan.task.name}-{plan.backbone.spec.name}-{plan.cell[:12]}",
            id=run_id(plan),
            resume="allow",
            dir=plan.folder,
            mode="offline" if plan.options.offline else None,
        )
    except wandb.errors.Error as error:
        said = " ".join(str(error).split()).rstrip(".")
        raise UserError(f"wandb: {said}; or keep the curves on this machine: --offline") from None
    return WandbLogger(experiment=run)


def run_id(plan: Plan) -> str | None:
    """The id under which the logger's own tools find the cell; None where nothing is trained."""
    if plan.options.control in ("constant", "untrained"):
        return None
    return {"csv": None, "tensorboard": TENSORBOARD, "wandb": plan.cell[:16]}[plan.options.logger]
