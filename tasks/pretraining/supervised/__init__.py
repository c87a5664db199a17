"""Supervised pre-training on the covered classes of the world."""
