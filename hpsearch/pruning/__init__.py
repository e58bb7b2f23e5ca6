"""Which trials to stop early: one module for each entry of `domain.pruners`, named like it."""
