"""Classification keeps the contract of tasks; its splits, parts and identity are as stated."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from harness.recipes import determining, load_resolved
from harness.testing import check_task
from tasks.classification.data import ClassificationDataset
from tasks.classification.recipe import ClassificationRecipe
from tasks.classification.task import Classification
from tasks.contract import DataError, RecipeError
from tasks.probe import Fixed

RECIPES = Classification.recipes


def recipe(name: str = "smoke", **sections: dict[str, Any]) -> ClassificationRecipe:
    values = yaml.safe_load((RECIPES / f"{name}.yaml").read_text())
    for section, changed in sections.items():
        values[section] = values.get(section, {}) | changed
    found = load_resolved("classification", values)
    assert isinstance(found, ClassificationRecipe)
    return found


def folder(root: Path, splits: tuple[str, ...] = ("train", "test"), count: int = 10) -> Path:
    """Two classes of unlike brightness, every image another."""
    for part, split in enumerate(splits):
        for number, name in enumerate(("dark", "light")):
            (root / split / name).mkdir(parents=True)
            for k in range(count):
                rng = np.random.default_rng([part, number, k])
                pixels = rng.integers(0, 120, (40, 50, 3)) + 130 * number
                Image.fromarray(pixels.astype(np.uint8)).save(root / split / name / f"{k}.png")
    return root


def opened(given: ClassificationRecipe, split: Any) -> ClassificationDataset:
    task = Classification()
    task.prepare(given)
    return task.dataset(given, split)


@pytest.mark.parametrize("labels", ["fine", "novel"])
def test_the_contract_holds(labels: str) -> None:
    erasing = {"probability": 1.0}
    check_task(
        Classification(),
        recipe(
            data={"labels": labels},
            augmentation={"flip": 0.5, "erasing": erasing},
            mix={"mixup": 0.8, "cutmix": 1.0},
        ),
    )


def test_novel_has_all_levels_in_any_first_part() -> None:
    given = recipe(data={"labels": "novel", "limit": 18})
    data = opened(given, "training")
    assert len(data) == 18
    for members in data.opened.groups.values():
        assert np.isin(data.labels, members).sum() == 6
    rows = [
        {"sample": k, "classes": [int(label), *range(5)], "scores": [0.0] * 6}
        for k, label in enumerate(data.labels)
    ]
    found = Classification().evaluate(rows, data).metrics
    assert {"accuracy novel-1", "accuracy novel-2", "accuracy novel-3"} <= found.keys()


def test_a_folder_without_val_holds_selection_out_of_train(tmp_path: Path) -> None:
    given = recipe("smoke-folder", data={"root": str(folder(tmp_path))})
    task = Classification()
    task.prepare(given)
    training, selection, test = (task.dataset(given, s) for s in ("training", "selection", "test"))
    assert (len(training), len(selection), len(test)) == (16, 4, 20)
    names = [{data.name(k) for k in range(len(data))} for data in (training, selection)]
    assert not names[0] & names[1]
    assert np.bincount(selection.labels).tolist() == [2, 2]
    joined = recipe("smoke-folder", data={"root": str(tmp_path), "join_selection": True})
    assert len(opened(joined, "training")) == 20
    with pytest.raises(RecipeError, match="join_selection"):
        both = {"protocol": "frozen"}
        values = joined.model_dump(mode="json") | both
        load_resolved("classification", values)
    # Several features are a choice by images that vote.
    probe = values["probe"] | {"kind": "knn"}
    with pytest.raises(RecipeError, match="name one"):
        load_resolved("classification", values | {"probe": probe})
    one = load_resolved("classification", values | {"probe": probe | {"features": ["mean"]}})
    assert one.protocol == "frozen"


@pytest.mark.parametrize(("kind", "seen"), [("logistic", [2, 2]), ("grid", [4, 4])])
def test_a_second_fit_sees_no_more_labels_than_the_fraction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, seen: list[int]
) -> None:
    data = {"root": str(folder(tmp_path)), "held_out": 0.4, "fraction": 0.5}
    given = recipe("smoke-folder", data=data, probe={"kind": kind})
    training, selection = opened(given, "training"), opened(given, "selection")
    rows = {"mean": torch.tensor(selection.rows)[:, None]}
    asked: list[Any] = []

    def fit(*arguments: Any) -> Any:
        asked.extend(arguments)
        return SimpleNamespace(choice={})

    monkeypatch.setattr("tasks.classification.probes.fitting.fit", fit)
    probe = Classification().probe(given, training.info)
    assert probe is not None
    probe.fit(Fixed({}, training), Fixed(rows, selection), 0, lambda _: None)
    _, _, features, labels, *_ = asked
    assert torch.bincount(labels).tolist() == seen
    true = torch.tensor(selection.opened.parts["selection"].labels)
    assert true[features["mean"][:, 0]].tolist() == labels.tolist()


def test_copies_of_an_image_are_never_held_out(tmp_path: Path) -> None:
    root = folder(tmp_path)
    first = root / "train/dark/0.png"
    for number in range(20):
        (root / f"train/dark/copy{number}.png").write_bytes(first.read_bytes())
    given = recipe("smoke-folder", data={"root": str(root), "held_out": 0.5})
    selection, training = opened(given, "selection"), opened(given, "training")
    kept = [training.name(k) for k in range(len(training))]
    assert sum("copy" in name or name == "train/dark/0.png" for name in kept) == 21
    held = [selection.images.content(int(row)) for row in selection.rows]
    assert first.read_bytes() not in held
    assert len(kept) + len(held) == 40


def test_a_limit_takes_classes_by_turns(tmp_path: Path) -> None:
    given = recipe("smoke-folder", data={"root": str(folder(tmp_path)), "limit": 5})
    data = opened(given, "test")
    assert data.labels.tolist() == [0, 0, 0, 1, 1]
    assert [data.name(k) for k in (0, 3)] == ["test/dark/0.png", "test/light/0.png"]


def test_a_probe_has_no_steps_to_be_cut_short() -> None:
    values = recipe().model_dump(mode="json")
    values["train"]["max_steps"] = 2
    load_resolved("classification", values)
    with pytest.raises(RecipeError, match="--max-steps"):
        load_resolved("classification", values | {"protocol": "frozen"})


def test_results_of_label_sets_and_probes_are_told_apart() -> None:
    task, given = Classification(), recipe(data={"labels": "novel"})
    assert task.variant(given) == "novel"
    assert task.variant(given.model_copy(update={"protocol": "frozen"})) == "novel, grid"
    assert task.variant(recipe("smoke-folder")) == ""


def test_join_takes_official_val_into_training(tmp_path: Path) -> None:
    root = folder(tmp_path, ("train", "val", "test"))
    apart = opened(recipe("smoke-folder", data={"root": str(root)}), "training")
    given = recipe("smoke-folder", data={"root": str(root), "join_selection": True})
    joined = opened(given, "training")
    assert (len(apart), len(joined)) == (20, 40)
    assert joined.labels[20:].tolist() == [0] * 10 + [1] * 10
    assert joined.name(20).startswith("val/")
    np.testing.assert_array_equal(
        joined.images.read(20), np.asarray(Image.open(root / "val" / "dark" / "0.png"))
    )


def test_fractions_are_balanced_nested_and_other_data() -> None:
    whole = opened(recipe(), "training")
    parts = {share: whole.fraction(share, 0) for share in (1 / 3, 2 / 3)}
    names = {share: {part.name(k) for k in range(len(part))} for share, part in parts.items()}
    assert names[1 / 3] < names[2 / 3]
    assert np.bincount(parts[1 / 3].labels).tolist() == [1] * 12
    assert len({whole.info.sha256, *(part.info.sha256 for part in parts.values())}) == 3
    assert parts[1 / 3].info.count == len(parts[1 / 3]) == 12
    other = whole.fraction(1 / 3, 1)
    assert {other.name(k) for k in range(len(other))} != names[1 / 3]


def test_the_digest_tells_labels_names_and_sizes(tmp_path: Path) -> None:
    root = folder(tmp_path)
    given = recipe("smoke-folder", data={"root": str(root)})
    before = opened(given, "test").info.sha256
    assert opened(given, "test").info.sha256 == before
    (root / "test/dark/0.png").rename(root / "test/dark/zero.png")
    renamed = opened(given, "test").info.sha256
    (root / "test/dark/zero.png").rename(root / "test/light/zero.png")
    assert len({before, renamed, opened(given, "test").info.sha256}) == 3


def test_identity_holds_what_the_protocol_looks_at() -> None:
    def identity(protocol: str, **sections: dict[str, Any]) -> dict[str, Any]:
        given = recipe(**sections)
        return determining(given.model_copy(update={"protocol": protocol}))

    assert identity("finetune") == identity("finetune", probe={"kind": "knn"})
    assert identity("finetune") != identity("finetune", augmentation={"flip": 0.0})
    frozen = identity("frozen")
    assert frozen == identity("frozen", augmentation={"flip": 0.0})
    assert frozen == identity("frozen", probe={"knn": {"k": 7}})
    assert frozen != identity("frozen", probe={"kind": "knn"})
    assert frozen != identity("frozen", test={"crop_share": 0.5})


def test_the_constant_names_the_most_frequent_training_class(tmp_path: Path) -> None:
    root = folder(tmp_path)
    for k in range(5):
        (root / f"train/dark/{k}.png").unlink()
    data = opened(recipe("smoke-folder", data={"root": str(root)}), "training")
    model = Classification().constant(data)
    (row,) = model.predict({"index": torch.tensor([3])})
    assert row["sample"] == 3
    assert row["classes"][0] == 1
    assert sum(np.exp(row["scores"])) == pytest.approx(1)


def test_what_there_is_not_is_refused() -> None:
    with pytest.raises(RecipeError, match="food102"):
        recipe(data={"name": "food102"})
    with pytest.raises(DataError, match="--data-root"):
        opened(recipe("smoke-folder"), "test")
    with pytest.raises(DataError, match=r"food-101.tar.gz"):
        opened(recipe("smoke-folder", data={"name": "food101"}), "test")
