"""Envelopes of requests and replies that are not already domain types, shared by the API and the client."""
