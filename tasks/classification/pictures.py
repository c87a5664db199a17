"""What predictions say, in words and pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tasks.classification.data import ClassificationDataset
    from tasks.contract import Gallery, Row


def words(row: Row, dataset: ClassificationDataset) -> str:
    """The class that was named, and the true one where it is another; of several labels the ones
    shown, behind the highest score."""
    names, label = dataset.opened.class_names, dataset.labels[row["sample"]]
    found = names[row["classes"][0]]
    if dataset.labels.ndim == 2:
        return f"{found}: {', '.join(names[k] for k in np.flatnonzero(label == 1)) or 'none'}"
    return found if row["classes"][0] == label else f"{found}, not {names[label]}"


def pictures(rows: list[Row], dataset: ClassificationDataset, title: str) -> Gallery:
    """What is confused with what, which classes are worst, which mistakes are made surely.

    Raises:
        DataError: rows that are missing, doubled or of samples that the data set lacks.
    """
    from tasks.classification.gallery import several, single

    if dataset.info.name == "microworld":
        title = f"{title}, label set {dataset.recipe.data.labels}"
    if dataset.labels.ndim == 2:
        return several.gallery(rows, dataset, title)
    return single.gallery(rows, dataset, title)
