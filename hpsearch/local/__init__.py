"""The server and the workers of this machine: found, started, looked after; for the command line and for Python."""
