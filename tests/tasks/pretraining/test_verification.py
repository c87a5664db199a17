"""Recorded evidence is compared with what is found; gates are what the evidence must pass."""

from dataclasses import replace

import pytest

from harness.cli.pretrain import table
from harness.errors import UserError
from harness.verification import differences, verify
from tasks.contract import Metric
from tasks.pretraining.filling import FillingEvidence


def evidence(masked: float, visible: float, position: float, border: float) -> FillingEvidence:
    def metric(value: float) -> Metric:
        return Metric(value, 0.01, 512, "lower")

    return FillingEvidence(
        scenes=512,
        masked_l1=metric(masked),
        fillers={"visible_mean": visible, "position_mean": position, "interpolation": border},
        ratios={
            "visible_mean": metric(masked / visible),
            "position_mean": metric(masked / position),
            "interpolation": metric(masked / border),
        },
    )


@pytest.mark.parametrize(
    ("found", "passed"),
    [
        (evidence(0.35, 0.5, 0.55, 0.4), [True, True, True]),
        (evidence(0.37, 0.5, 0.55, 0.4), [True, True, False]),
        (evidence(0.37, 0.5, 0.40, 0.6), [True, True, False]),
        (evidence(0.41, 0.5, 0.55, 0.5), [True, False, True]),
        (replace(evidence(0.35, 0.5, 0.55, 0.4), scenes=511), [False, True, True]),
    ],
)
def test_gates_take_the_better_filler(found: FillingEvidence, passed: list[bool]) -> None:
    assert [gate.passed for gate in found.gates] == passed
    assert found.passed == all(passed)
    verdicts = [line.split()[0] for line in table(found)[-3:]]
    assert verdicts == ["PASS" if each else "FAIL" for each in passed]


def test_differences_name_what_is_not_as_recorded() -> None:
    recorded = evidence(0.35, 0.5, 0.55, 0.4).as_dict() | {"sha256": "a"}
    assert differences(recorded, dict(recorded)) == []
    # Beyond the stated tolerance of 2e-3, and within it.
    worse = evidence(0.352, 0.5, 0.55, 0.4).as_dict() | {"sha256": "a"}
    assert any(line.startswith("masked_l1") for line in differences(recorded, worse))
    near = evidence(0.3503, 0.5, 0.55, 0.4).as_dict() | {"sha256": "a"}
    assert differences(recorded, near) == []
    (line,) = differences(recorded, recorded | {"sha256": "b"})
    assert "sha256" in line
    with pytest.raises(UserError, match="--update"):
        differences({"sha256": "a"}, recorded)


def test_a_name_that_is_no_encoder_of_ours_is_refused() -> None:
    from harness.console import Console

    with pytest.raises(UserError, match="there is no encoder `nothing`"):
        verify("nothing", 512, None, False, Console())
    with pytest.raises(UserError, match="was not pre-trained here"):
        verify("mae_vit_base", 512, None, False, Console())
