"""A record database whose only server is an object store."""
