"""Use cases of results: leaderboards, charts, the final model, events."""
