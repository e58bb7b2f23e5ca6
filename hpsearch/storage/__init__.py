"""Everything that is kept in a database: the only room that knows SQL."""
