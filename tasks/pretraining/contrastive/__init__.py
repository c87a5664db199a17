"""Contrastive pre-training after MoCo v3."""
