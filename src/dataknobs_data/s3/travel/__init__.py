"""The past: both tiers as they were at an instant, read from the versions that the bucket keeps (docs/decisions/0010)."""
