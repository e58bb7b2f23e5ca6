"""Limits: how much of what a server accepts, by caller, by connection and at a time."""
