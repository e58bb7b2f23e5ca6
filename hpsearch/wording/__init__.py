"""Words and figures of the product, the same on the command line, on the page and in files."""
