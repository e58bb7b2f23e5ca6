"""Training one multilayer perceptron after another; the only folder that imports keras and tensorflow."""
