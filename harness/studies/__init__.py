"""Studies: files of cells, run in order and compared."""
