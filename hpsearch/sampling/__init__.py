"""Which configuration to try next: grid, random and Bayesian search behind one call."""
