"""Who may do what in the bucket. All but the section is pure."""
