"""Records in relational databases: one engine, small dialects. Only backends import this package; it needs SQLAlchemy."""
