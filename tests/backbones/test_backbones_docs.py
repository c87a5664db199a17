"""The page on encoders speaks of all formats and rules that there are."""

import re
from pathlib import Path

from backbones.families.positions import RESIZES
from backbones.formats import FORMATS

PAGE = (Path(__file__).parents[2] / "docs" / "backbones.md").read_text()


def test_every_format_has_a_row_and_every_row_a_format():
    rows = re.findall(r"^\| `(\w+)` \|", PAGE, flags=re.MULTILINE)
    assert sorted(rows) == sorted([*FORMATS, *RESIZES])
