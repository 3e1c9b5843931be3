"""The database as one file in pg_dump's custom format, and back."""
