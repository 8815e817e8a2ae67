"""The engine of the S3 database."""
