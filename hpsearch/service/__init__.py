"""The use cases of the server, one file each: every call is one transaction, committed before it returns."""
