"""Middleware around every request, as plain ASGI: no request or response objects are built here."""
