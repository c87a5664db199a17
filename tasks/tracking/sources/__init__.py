"""Where sequences come from: the embedded world, official layouts, folders, archives."""
