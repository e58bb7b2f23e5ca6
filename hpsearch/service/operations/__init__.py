"""Use cases of those who run a server: backup, health, cleaning up, background threads."""
