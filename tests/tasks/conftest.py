"""What the tests of several tasks' pictures share."""

from __future__ import annotations

from typing import Any

import pytest

from tasks import figures


@pytest.fixture
def texts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every line that pages are given."""
    seen: list[str] = []
    there = figures.Page.text

    def text(page: figures.Page, left: float, base: float, line: str, *style: Any) -> None:
        seen.append(line)
        there(page, left, base, line, *style)

    monkeypatch.setattr(figures.Page, "text", text)
    return seen
