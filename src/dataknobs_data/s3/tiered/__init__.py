"""The tiered layout: one view over hot objects and the archive table."""
