"""The one error of this package."""

from __future__ import annotations

from harness.errors import UserError


class FeatureError(UserError):
    """Features that cannot be kept or trusted; the message is one line that says what to do."""
