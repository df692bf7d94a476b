"""The index the pages read: SQLite through SQLAlchemy.

`database` opens it, `tables` says what lies in it, `migrations` how it grows, `runs` is the one door for everyone else;
`views` is what comes out of that door, `ingest`, `curves` and `queue` serve it, and `rebuild` finds lost runs again.
"""
