"""Keras as every engine and every model file uses it: networks of a configuration, and TensorFlow set up once."""
