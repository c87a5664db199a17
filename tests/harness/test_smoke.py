"""The smoke matrix goes on after a failure and tells it to continuous integration."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from types import SimpleNamespace
from typing import Any

from harness.options import RunOptions
from harness.smoke import Outcome, junit, run_matrix
from tasks.contract import DataError, Metric


def record(options: RunOptions) -> Any:
    if options.backbone == "broken":
        raise DataError("the image <x> is truncated\nread it again")
    status = "failed" if options.backbone == "nan" else "finished"
    return SimpleNamespace(primary="AP", metrics={"AP": Metric(0.5, None, 3)}, status=status)


def outcomes() -> list[Outcome]:
    cells = [RunOptions(backbone=name) for name in ("broken", "nan", "good")]
    return list(run_matrix(cells, record))


def test_a_failure_does_not_end_the_matrix() -> None:
    broken, nan, good = outcomes()
    assert (broken.passed, nan.passed, good.passed) == (False, False, True)
    assert broken.said == "DataError: the image <x> is truncated"
    assert "read it again" in (broken.trace or "")
    assert nan.said == "ended as failed"
    assert good.said == "AP 0.5000"


def test_junit_counts_and_names_the_failures() -> None:
    suite = ET.fromstring(junit(outcomes()))
    assert (suite.get("tests"), suite.get("failures")) == ("3", "2")
    cases = suite.findall("testcase")
    assert [case.get("name") for case in cases] == ["broken", "nan", "good"]
    failures = [case.find("failure") for case in cases]
    assert failures[2] is None
    assert failures[0] is not None
    assert failures[0].get("message") == "DataError: the image <x> is truncated"
    assert "Traceback" in (failures[0].text or "")
