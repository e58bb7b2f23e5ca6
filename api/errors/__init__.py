"""From exceptions to problem documents (RFC 9457)."""
