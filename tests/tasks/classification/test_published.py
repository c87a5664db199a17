"""Every published data set, in small, as training, selection and test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tasks.classification.datasets.catalogue import PUBLICATIONS
from tasks.classification.opening import open_data
from tasks.classification.recipe import ClassificationData
from tests.tasks.classification.datasets.miniatures import make


@pytest.mark.parametrize("name", PUBLICATIONS)
def test_selection_is_the_official_one_or_held_out_of_training(name: str, tmp_path: Path) -> None:
    truth = make(name, tmp_path)
    opened = open_data(ClassificationData(name=name, root=tmp_path, partial=True))
    names = {
        split: [part.images.name(row) for row in opened.rows[split].tolist()]
        for split, part in opened.parts.items()
    }
    if name == "caltech101":
        assert len(names["training"]) + len(names["selection"]) == 60
    elif "val" in truth.parts:
        assert names["training"] == [image for image, _ in truth.parts["train"]]
        assert names["selection"] == [image for image, _ in truth.parts["val"]]
    else:
        train = dict(truth.parts["train"])
        assert sorted(names["training"] + names["selection"]) == sorted(train)
        # Every class stays in training, and is looked at in selection.
        for split in ("training", "selection"):
            assert {train[image] for image in names[split]} == set(range(len(truth.class_names)))
    if name != "caltech101":
        assert names["test"] == [image for image, _ in truth.parts["test"]]
    assert not set(names["test"]) & {*names["training"], *names["selection"]}
    assert opened.figure == PUBLICATIONS[name].figure
    assert opened.parts["test"].labels.dtype == np.int64
