"""A trainer process: what it hears from its supervisor and what it says."""
