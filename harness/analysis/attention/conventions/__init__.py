"""How public codes measure attention, by name; equal to what they give for plain ViTs.

rule: the harness's own. clmim: naver-ai/cl-vs-mim. vitan: mwalmer-umd/vit_analysis. lite:
wangsr126/mae-lite. monitor: a public training monitor.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from harness.analysis.attention import CONVENTIONS
from harness.analysis.attention.conventions.clmim import Clmim
from harness.analysis.attention.conventions.lite import Lite
from harness.analysis.attention.conventions.monitor import Monitor
from harness.analysis.attention.conventions.rule import Rule
from harness.analysis.attention.conventions.vitan import Vitan
from harness.errors import UserError

if TYPE_CHECKING:
    from harness.analysis.attention.conventions.contract import Convention

_MADE: dict[str, Callable[[], Convention]] = {
    "rule": Rule,
    "clmim": Clmim,
    "vitan": Vitan,
    "lite": Lite,
    "monitor": Monitor,
}


def of_name(name: str) -> Convention:
    """Return a convention.

    Raises:
        UserError: there is none of that name.
    """
    if name not in _MADE:
        raise UserError(f"no convention {name!r}; known: {', '.join(CONVENTIONS)}")
    return _MADE[name]()
