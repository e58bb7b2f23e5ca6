"""Use cases of stored contents: data sets' and models' bytes, and where they lie."""
