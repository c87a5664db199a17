"""The learning rate of a step, as the published schedules have it."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi, pow
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasks.recipe import ScheduleRecipe

_POWER = 0.9


@dataclass(frozen=True)
class Schedule:
    """The learning rate as a function of the step, counted from 0.

    Attributes:
        recipe: which publication's, and its lengths.
        peak: learning rate of the last layer after the warm-up.
        total_steps: length of the whole schedule.
        steps_per_epoch: what one `epoch` in the recipe stands for.
    """

    recipe: ScheduleRecipe
    peak: float
    total_steps: int
    steps_per_epoch: float

    def __call__(self, step: int, scale: float = 1.0) -> float:
        """The rate in effect at `step` for a group whose layer decay is `scale`."""
        match self.recipe.name:
            case "constant":
                return self._ramp(step) * self.peak * scale
            case "cosine":
                return self._cosine(step) * scale
            case "cosine_epoch":
                return self._cosine_epoch(step) * scale
            case "step":
                return self._step(step) * scale
            case "simmim_step":
                return self._simmim_step(step, scale)
            case "simmim_cosine":
                return self._late_cosine(step, scale, 0.0)
            case "swin_cosine":
                return self._late_cosine(step, scale, self._warmup)
            case "beit_cosine":
                return self._beit_cosine(step) * scale
            case "mim_depth":
                return self._up_and_down(step) * scale

    @property
    def _warmup(self) -> float:
        return self.recipe.warmup * self._unit

    @property
    def _unit(self) -> float:
        return self.steps_per_epoch if self.recipe.unit == "epoch" else 1.0

    def _ramp(self, step: float) -> float:
        """Share of the regular rate during the warm-up, linear."""
        if step >= self._warmup:
            return 1.0
        start = self.recipe.warmup_factor
        return start + (1 - start) * step / self._warmup

    def _cosine(self, step: int) -> float:
        """Warm-up, then half a cosine over the steps that are left (MAE util/lr_sched.py)."""
        if step < self._warmup:
            return self.peak * self._ramp(step)
        share = (step - self._warmup) / max(1.0, self.total_steps - self._warmup)
        low = self.peak * self.recipe.min_factor
        return low + (self.peak - low) * 0.5 * (1 + cos(pi * min(1.0, share)))

    def _cosine_epoch(self, step: int) -> float:
        """Half a cosine over all epochs, set at the beginning of each, so that it ends above its
        minimum; the warm-up multiplies it (mmcv's cosine policy, as PCT uses it)."""
        epoch, epochs = step // self.steps_per_epoch, self.total_steps / self.steps_per_epoch
        low = self.recipe.min_factor
        share = low + (1 - low) * 0.5 * (1 + cos(pi * min(1.0, epoch / epochs)))
        return self.peak * share * self._ramp_steps(step)

    def _step(self, step: int) -> float:
        """Multiplied by gamma at milestones, epochs counted whole; the warm-up multiplies it
        (mmcv's step policy, as ViTPose uses it)."""
        position = step // self.steps_per_epoch if self.recipe.unit == "epoch" else step
        passed = sum(position >= milestone for milestone in self.recipe.milestones)
        return self.peak * self.recipe.gamma**passed * self._ramp_steps(step)

    def _ramp_steps(self, step: int) -> float:
        """The warm-up of mmcv's policies, whose length is always in steps."""
        length = self.recipe.warmup
        start = self.recipe.warmup_factor
        return 1.0 if step >= length else start + (1 - start) * step / length

    def _simmim_step(self, step: int, scale: float) -> float:
        """SimMIM sets the rate after the step, so each step has that of the step before; the
        start of its warm-up is the same in every group (SimMIM lr_scheduler.py)."""
        late = max(0, step - 1)
        if late < self._warmup:
            return self._absolute_ramp(late, scale)
        passed = sum(late >= milestone * self._unit for milestone in self.recipe.milestones)
        return self.peak * scale * self.recipe.gamma**passed

    def _late_cosine(self, step: int, scale: float, begin: float) -> float:
        """As above; the minimum is the same in every group, too. The cosine's phase counts from
        step 0 in SimMIM's ViT and Swin, so that the rate falls when the warm-up ends, and from
        there in Swin-Transformer's SwinV2 (its configuration's WARMUP_PREFIX)."""
        late = max(0, step - 1)
        if late < self._warmup:
            return self._absolute_ramp(late, scale)
        low = self.peak * self.recipe.min_factor
        share = (late - begin) / max(1.0, self.total_steps - begin)
        return low + (self.peak * scale - low) * 0.5 * (1 + cos(pi * min(1.0, share)))

    def _beit_cosine(self, step: int) -> float:
        """As `_cosine`, but the last step of the warm-up is at the peak already, and so is the next
        (BEiT utils.cosine_scheduler)."""
        if step >= self._warmup:
            return self._cosine(step)
        start = self.recipe.warmup_factor
        share = step / (self._warmup - 1) if self._warmup > 1 else 0.0
        return self.peak * (start + (1 - start) * share)

    def _up_and_down(self, step: int) -> float:
        """Up to the peak in half of the epochs, rounded down, and as far down again, by a power of
        the steps done, this one included; the rate stays at its minimum after that
        (MIM-Depth-Estimation train.py). Less than two epochs are halved as steps."""
        epochs = round(self.total_steps / self.steps_per_epoch)
        half = epochs // 2 * self.steps_per_epoch or self.total_steps / 2
        low = self.peak * self.recipe.min_factor
        share = (step + 1) / half
        if share < 1:
            return low + (self.peak - low) * pow(share, _POWER)
        return max(low, self.peak - (self.peak - low) * pow(share - 1, _POWER))

    def _absolute_ramp(self, step: float, scale: float) -> float:
        start = self.peak * self.recipe.warmup_factor
        return start + (self.peak * scale - start) * step / self._warmup
