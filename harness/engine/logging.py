"""Experiment loggers beside the curves that every run keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.errors import UserError

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger

    from harness.engine.plan import Plan


def loggers(plan: Plan) -> list[Logger]:
    """What `--logger` asks for; `csv` is the run's own curves.csv and needs nothing more.

    A run that continues goes on in the same logger run, since its id is the cell's.
    """
    from harness.console import is_main_process

    kind, folder = plan.options.logger, plan.folder
    if kind == "csv" or not is_main_process():
        return []
    if kind == "tensorboard":
        from lightning.pytorch.loggers import TensorBoardLogger

        return [TensorBoardLogger(folder, name=None, version="tensorboard")]
    from lightning.pytorch.loggers import WandbLogger

    try:
        return [
            WandbLogger(
                project="harness",
                name=f"{plan.task.name}-{plan.backbone.spec.name}-{plan.cell[:12]}",
                id=plan.cell[:16],
                resume="allow",
                save_dir=folder,
                offline=plan.options.offline,
            )
        ]
    except ModuleNotFoundError as error:
        raise UserError(f"--logger wandb needs the package `{error.name}`: install it") from None


def run_id(attached: list[Logger]) -> str | None:
    """The id under which the logger's own tools find the run."""
    return str(attached[0].version) if attached else None
