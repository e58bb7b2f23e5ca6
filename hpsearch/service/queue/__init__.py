"""Use cases of the queue: trials created, claimed, reported, ended and taken back."""
