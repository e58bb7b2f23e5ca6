"""From an uploaded file or a name to stored content and its profile; server only."""
