"""The index: SQLite through SQLAlchemy. It can be deleted; the run folders rebuild it."""
