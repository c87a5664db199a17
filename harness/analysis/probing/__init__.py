"""Frozen probes of every block: what each knows of classes, depth and poses."""

from harness.analysis.probing.data import Source, Splits, microworld
from harness.analysis.probing.measuring import LOWER_IS_BETTER, PROBES, measure

__all__ = ["LOWER_IS_BETTER", "PROBES", "Source", "Splits", "measure", "microworld"]
