"""Which configuration to try next: all search algorithms behind one call."""
