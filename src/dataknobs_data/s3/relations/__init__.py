"""What the records of a database offer to SQL: columns, and rows as far as somebody asks for them."""
