"""The HTTP edge of hpsearch: routes, authentication, strict bodies, problem documents, event streams and the server."""
