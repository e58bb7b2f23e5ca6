"""The local server and workers: found, started and supervised; for the command line and for Python."""
