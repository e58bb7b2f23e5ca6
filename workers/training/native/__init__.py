"""The native engine: one network a core at its exact size, by numba kernels over BLAS; imports no TensorFlow."""
