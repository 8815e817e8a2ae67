"""Backends against the real thing, where the contract suite is not enough."""
