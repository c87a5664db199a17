"""Swin of mmdet: every stage of its network with random weights. Importing mmdet takes long."""

import pytest
import torch

from tests.backbones.openmmlab_swin import stages_agree


@pytest.mark.parametrize("size", [128, (70, 45)], ids=str)
@torch.no_grad()
def test_stages(size, tmp_path):
    def close(ours, theirs):
        return bool((ours - theirs).abs().max() / theirs.abs().max() < 1e-4)

    stages_agree("mmdet", size, tmp_path, close)
