"""Content stores: where the bytes of data sets and models lie, named by their SHA-256."""
