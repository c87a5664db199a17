"""Print how many mutants of each kind are refused, the same, or other."""

import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.backbones.mutants import KINDS, UNDETECTABLE, Maker, Outcome, outcomes


def table(found: list[Outcome]) -> str:
    """One row a kind: refused, same, other, and anything else that it did."""
    rows = [f"{'kind':34}{'refused':>8}{'same':>6}{'other':>6}{'else':>6}"]
    for kind in dict.fromkeys(outcome.kind for outcome in found):
        count = Counter(outcome.verdict for outcome in found if outcome.kind == kind)
        rows.append(_row(kind, count))
    return "\n".join([*rows, _row("all", Counter(outcome.verdict for outcome in found))])


def _row(kind: str, count: Counter[str]) -> str:
    refused, same, other = (count[verdict] for verdict in ("refused", "same", "other"))
    rest = count.total() - refused - same - other
    return f"{kind:34}{refused:8}{same:6}{other:6}{rest:6}"


def main(seeds: int) -> int:
    failed = 0
    groups: dict[str, dict[str, Maker]] = {
        "To be refused, or the same": KINDS,
        "Undetectable without a hash": UNDETECTABLE,
    }
    for title, kinds in groups.items():
        with tempfile.TemporaryDirectory() as folder:
            found = list(outcomes(kinds, range(seeds), Path(folder)))
        print(f"{title}: {len(found)} mutants\n{table(found)}\n")
        if kinds is KINDS:
            wrong = [outcome for outcome in found if outcome.verdict not in ("refused", "same")]
            print(*wrong, sep="\n")
            failed = len(wrong)
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 13))
