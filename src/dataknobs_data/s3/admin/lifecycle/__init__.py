"""Lifecycle rules: what moves to another storage class, and what is deleted, when. All but the section is pure."""
