"""Top-down human pose: where the joints of a person in a given box are."""
