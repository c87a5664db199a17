"""Which encoder a name opens."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import backbones
from harness.analysis.encoders import open_subject
from harness.console import Console
from harness.errors import UserError
from results import ResultsError

QUIET = Console(quiet=True)


def test_an_objective_opens_the_small_encoder_that_stands_for_it() -> None:
    subject = open_subject("simmim", None, QUIET)
    assert subject.name == "simmim_vit_micro"
    assert subject.identity["parameters"] == backbones.load("simmim_vit_micro").loaded_sha256
    assert not subject.backbone.training


def test_random_is_the_network_of_simmim_as_initialised_from_seed_0() -> None:
    subject = open_subject("random", None, QUIET)
    expected = backbones.load("simmim_vit_micro")
    assert subject.identity["parameters"] != expected.loaded_sha256
    expected.initialise(0)
    for name, value in subject.backbone.state_dict().items():
        assert torch.equal(value, expected.state_dict()[name])
    assert subject.control == "random"


def test_the_input_size_is_the_encoders_own_or_what_is_asked_for() -> None:
    assert open_subject("simmim", None, QUIET).backbone.input_size == (128, 128)
    assert open_subject("simmim", 64, QUIET).backbone.input_size == (64, 64)


def test_what_is_neither_a_name_nor_a_file_is_refused() -> None:
    with pytest.raises(backbones.LoadError, match="simmin"):
        open_subject("simmin", None, QUIET)


def test_the_folder_of_a_run_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "record.json").write_text("{")
    with pytest.raises((ResultsError, UserError), match="record"):
        open_subject(str(tmp_path), None, QUIET)
