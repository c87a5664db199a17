"""Layers that join the tokens of template and search image, after SwinTrack."""
