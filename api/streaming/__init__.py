"""What event streams share: one producer for many readers, tokens checked while open, waiting without blocking."""
