"""hpsearch: finds the best multilayer perceptron for a data set."""

__version__ = "0.1.0"
