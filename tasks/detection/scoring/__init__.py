"""Average precision of boxes and masks, and what errors it loses by."""
