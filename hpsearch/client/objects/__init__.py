"""Python objects for programs and notebooks: studies, leaderboards, models, plots."""
