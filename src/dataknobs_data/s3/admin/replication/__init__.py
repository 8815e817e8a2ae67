"""Copies of every write in another bucket. All but the section is pure."""
