"""Single-object tracking."""
