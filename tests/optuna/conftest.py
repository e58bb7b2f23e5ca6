"""The server and the ended study of the tests of the Python objects."""

from tests.interactive.conftest import client, ended, frame, lab

__all__ = ["client", "ended", "frame", "lab"]
