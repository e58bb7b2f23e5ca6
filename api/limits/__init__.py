"""Rate limits, concurrency limits, connection limits, and the cache that saves checks of tokens."""
