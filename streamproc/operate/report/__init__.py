"""What became of the recordings of a period, and how that compares with the one before."""
