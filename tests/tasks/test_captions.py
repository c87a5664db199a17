"""Words below images are whole, on as many lines as they need."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import ImageDraw

from tasks.captions import captioned


class Grey:
    def item(self, index: int, rng: Any) -> dict[str, Any]:
        return {"image": np.full((3, 20, 80), 99, np.uint8)}


def test_long_words_are_wrapped_and_not_cut(monkeypatch: Any) -> None:
    said: list[str] = []
    monkeypatch.setattr(
        ImageDraw.ImageDraw, "text", lambda self, place, text, fill: said.append(text)
    )
    words = [(0, "lamp/block, not dog/bar"), (1, "right")]
    sheet = captioned(words, Grey())  # type: ignore[arg-type]
    assert [" ".join(text.split()) for text in said] == [text for _, text in words]
    assert all(len(line) <= 13 for text in said for line in text.splitlines())
    assert sheet.size == (160, 20 + 16 * 2)
