"""SQL on SQLite and PostgreSQL: engine, column types, migrations."""
