"""Reading request bodies: strict JSON, forms and files, each with a cap."""
