"""Processes that race on the same records, and whether what they were told can all be true."""
