"""The contract tests, for our own encoders and tasks and for those of plug-ins.

Each function raises `AssertionError` with the rule that was broken. Call them from your tests:

    from harness.testing import check_backbone, check_task

    def test_my_encoder():
        check_backbone(my_encoder())
"""

from __future__ import annotations

from harness.testing.backbone import check_backbone
from harness.testing.task import check_task

__all__ = ["check_backbone", "check_task"]
