"""The contract tests, for our own encoders and tasks and for those of plug-ins.

Each function raises `AssertionError` with the rule that was broken. Call them from your tests:

    from harness.testing import check_encoder

    def test_mycnn():
        check_encoder("mycnn")
"""

from __future__ import annotations

from harness.testing.backbone import check_backbone
from harness.testing.encoder import check_encoder
from harness.testing.task import check_task

__all__ = ["check_backbone", "check_encoder", "check_task"]
