"""Use cases of studies: created, resolved, steered, shown."""
