"""The shortest Python API: start a local server, fit a data set, get a model."""
