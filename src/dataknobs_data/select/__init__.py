"""SQL over records: DuckDB, fed with Arrow, in a sandbox of its own for every statement."""
