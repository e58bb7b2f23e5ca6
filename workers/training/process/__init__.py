"""The trainer process: its messages with the supervisor, and which engine it runs."""
