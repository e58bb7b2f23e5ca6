"""What event streams share: broadcasts (one producer, many subscribers), token checks while open, async waits."""
