"""What people hold in Python and in notebooks: studies, leaderboards, models and plots as objects."""
