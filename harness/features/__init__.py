"""What an encoder gives for the images of a data set, kept on disk: docs/features.md.

Nothing is imported before it is asked for: `harness cache show` does without torch.
"""

from harness.features.errors import FeatureError

__all__ = ["FeatureError"]
