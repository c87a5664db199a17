"""What makes mmpose, mmdet and mmsegmentation importable without a compiled mmcv."""

from tasks.openmmlab.loading import PACKAGES, activate, load

__all__ = ["PACKAGES", "activate", "load"]
