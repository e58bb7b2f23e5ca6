"""Model files: written by Keras, proven against the network that was trained, and asked for predictions."""
