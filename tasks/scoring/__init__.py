"""What metrics of several tasks share: greedy assignment, precision and recall, resampling."""
