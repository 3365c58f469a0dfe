"""Where predictions go: a table of Noria, a Parquet file, a table of PostgreSQL."""
