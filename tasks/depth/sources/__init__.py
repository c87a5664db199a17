"""Where images and their depth come from: the embedded world, official layouts, folders."""
