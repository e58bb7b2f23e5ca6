"""From a CSV, Parquet or NPZ file to columns of numbers and texts, by its content and within stated limits."""
