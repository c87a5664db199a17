"""Several runs of one tracker on the same sequences, counted together."""

from __future__ import annotations

from statistics import fmean

from tasks.contract import Evaluation, Metric


def pooled(evaluations: list[Evaluation]) -> Evaluation:
    """The mean of each figure over runs.

    GOT-10k's toolkit pools the frames of all repetitions: with as many of each sequence that is the
    mean of the repetitions' figures. pytracking (`merge_multiple_runs`) takes the mean of each
    sequence's. A figure that some runs lack is the mean of those that have it.

    A run's sampling error is the spread of its figure over draws of sequences. That of the mean
    over runs is at most the mean of the runs', since draws are common to them; this stands for it.

    Args:
        evaluations: one a run, of the same sequences.
    """
    first = evaluations[0]
    names = dict.fromkeys(name for run in evaluations for name in run.metrics)
    metrics = {
        name: _mean([run.metrics[name] for run in evaluations if name in run.metrics])
        for name in names
    }
    columns = {
        name: _means([run.per_sample[name] for run in evaluations]) for name in first.per_sample
    }
    drawn = [run.resampled for run in evaluations if run.resampled is not None]
    return Evaluation(
        first.primary,
        metrics,
        columns,
        f"{first.evaluator}, mean of {len(evaluations)} runs",
        _means(drawn) if drawn else None,
    )


def _mean(metrics: list[Metric]) -> Metric:
    errors = [metric.error for metric in metrics if metric.error is not None]
    return Metric(
        fmean(metric.value for metric in metrics),
        fmean(errors) if len(errors) == len(metrics) else None,
        metrics[0].n,
        metrics[0].better,
    )


def _means(columns: list[list[float]]) -> list[float]:
    return [fmean(values) for values in zip(*columns, strict=True)]
