"""Operations rehearsed: the same code over a store that keeps what is written to itself, and counts what would be sent."""
