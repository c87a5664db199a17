"""Looking inside encoders: attention, similarity of layers, spectrum, probes of every block."""
