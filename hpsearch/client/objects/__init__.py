"""What people hold in Python and notebooks: studies, leaderboards, models, plots."""
