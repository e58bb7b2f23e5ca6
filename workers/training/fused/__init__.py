"""Many trials of one study trained as one stacked TensorFlow program: as many answers as `reference` in far less time."""
