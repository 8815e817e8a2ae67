"""Records in archive classes: which are meant, how they stand, and restoring them."""
