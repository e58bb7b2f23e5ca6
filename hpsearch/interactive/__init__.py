"""The shortest way in from Python: start a local server, fit a data set, get a model."""
