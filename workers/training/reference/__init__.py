"""The reference engine: plain Keras, one trial after another, the truth other engines are compared with."""
