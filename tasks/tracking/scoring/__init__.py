"""Boxes held against boxes: the conventions of the benchmarks, each by its name."""
