"""What speaks to an object store: the only modules besides backends that import an SDK."""
