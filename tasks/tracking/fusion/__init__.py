"""SwinTrack's network behind its encoder (Lin et al. 2022, LitingLin/SwinTrack): template and
search tokens joined by attention whose positions tell them apart, then a score and a box a cell."""
