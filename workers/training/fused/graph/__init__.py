"""The TensorFlow graph of a pack: forward pass, losses, updates, and its compiled programs."""
