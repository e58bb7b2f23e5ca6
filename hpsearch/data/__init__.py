"""What server and worker both need of a data set: reading it, dividing its rows, preparing its columns."""
