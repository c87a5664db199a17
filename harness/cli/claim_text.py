"""What `harness claims` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.analysis.claims.deciding import Estimate, Missing, Verdict
    from harness.analysis.claims.judging import Judged, Trial
    from harness.analysis.claims.model import Claims, Role


def text(content: Claims, names: Mapping[Role, str], found: Sequence[Judged]) -> str:
    """A table of verdicts, then each claim with its tests, and what to run where evidence lacks."""
    from harness.cli.output import columns

    rows = [("claim", "verdict", "tests that hold, fail, are undecided")]
    rows += [(each.claim.id, each.verdict, _tally(each)) for each in found]
    return "\n\n".join(
        [f"claims of {content.study}", columns(rows), *map(_claim, found), caveat(names)]
    )


def as_json(content: Claims, names: Mapping[Role, str], found: Sequence[Judged]) -> str:
    """One JSON object."""
    from harness.cli.output import as_json as dump

    claims = [
        each.claim.model_dump(mode="json", exclude={"tests"})
        | {"verdict": each.verdict, "tests": [_test(tested) for tested in each.tests]}
        for each in found
    ]
    told = {"study": content.study, "encoders": dict(names), "caveat": caveat(names)}
    return dump(told | {"claims": claims})


def caveat(names: Mapping[Role, str]) -> str:
    """What no verdict says."""
    files = ", ".join(f"{name} ({role})" for role, name in names.items())
    return (
        f"Every verdict speaks of these files only: {files}. A claim about an objective needs "
        "several files of each, pre-trained anew. 95 % intervals, each for itself: of many tests "
        "some fail by chance."
    )


def _claim(judged: Judged) -> str:
    from harness.cli.output import columns

    claim = judged.claim
    head = ("  measure", "of", "found [95 %]", "threshold", "verdict", "")
    rows = [head, *(_row(tested) for tested in judged.tests)]
    lines = [f"{claim.id} {judged.verdict}: {claim.claim}", columns(rows)]
    if judged.verdict == "undecided":
        lines.append(f"  needs: {claim.needs}")
    lines += [f"  note: {claim.note}"] if claim.note else []
    return "\n".join([*lines, *_lacking(judged)])


def _row(tested: Trial) -> tuple[str, ...]:
    test, side = tested.test, tested.test.threshold
    note = getattr(tested.found, "note", "")
    threshold = f"{side.side} {side.value:g}"
    return (f"  {test.what}", test.of, _figure(tested.found), threshold, tested.verdict, note)


def _figure(found: Estimate | Missing) -> str:
    from harness.analysis.claims.deciding import Missing

    if isinstance(found, Missing):
        return "-"
    if found.low is None or found.high is None:
        return f"{found.value:.4g} [unknown]"
    return f"{found.value:.4g} [{found.low:.4g}, {found.high:.4g}]"


def _lacking(judged: Judged) -> list[str]:
    """Why there is no estimate, and what to run; each said once."""
    lines = []
    for tested in judged.tests:
        if why := getattr(tested.found, "why", ""):
            lines.append(f"  missing: {why}")
        if tested.verdict == "undecided" and tested.found.command:
            lines.append(f"  run: {tested.found.command}")
    return list(dict.fromkeys(lines))


def _tally(judged: Judged) -> str:
    verdicts = [tested.verdict for tested in judged.tests]
    kinds: tuple[Verdict, ...] = ("holds", "does not hold", "undecided")
    return ", ".join(str(verdicts.count(kind)) for kind in kinds)


def _test(tested: Trial) -> dict[str, Any]:
    from dataclasses import asdict

    given = tested.test.model_dump(mode="json", exclude_none=True)
    return given | {"what": tested.test.what, "verdict": tested.verdict} | asdict(tested.found)
