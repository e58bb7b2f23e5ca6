"""The server and the worker of the tests of the Python objects, for pages that need some."""

from tests.interactive.conftest import lab

__all__ = ["lab"]
