"""Objects in an image: their boxes, masks and classes."""
