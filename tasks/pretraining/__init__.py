"""Masked image modelling: an encoder learns from images alone by filling in what is hidden."""
