"""One module a backend; each is thin and imports its driver only when it is used."""
