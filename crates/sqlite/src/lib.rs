//! Opens a SQLite database, applies migrations, commits in groups; knows no table.
