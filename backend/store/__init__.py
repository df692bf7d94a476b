"""The index the pages read: SQLite through SQLAlchemy.

`engine` opens it, `tables` says what lies in it, `migrations` how it grows, `runs` is the one door for everyone else;
`views` is what comes out of that door, `ingest`, `curves` and `queue` are the rooms behind it.
"""
