"""Trainer processes: started, supplied with trials, watched and ended."""
