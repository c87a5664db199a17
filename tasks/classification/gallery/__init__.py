"""Pictures of what is right, what is taken for what, and which mistakes are made surely."""
