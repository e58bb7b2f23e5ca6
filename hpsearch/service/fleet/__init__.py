"""Use cases of the fleet: workers registered, shown, drained."""
