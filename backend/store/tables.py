"""What the index holds. Everything but names and notes can be rebuilt from the run folders."""

from sqlalchemy import Column, Float, ForeignKey, Index, Integer, MetaData, Table, Text

metadata = MetaData()

runs = Table(
    "runs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("number", Integer, nullable=False, unique=True),  # order of arrival: the queue's and the list's
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Column("hint", Text, nullable=False, server_default=""),
    Column("notes", Text, nullable=False, server_default=""),
    Column("spec_json", Text, nullable=False),
    Column("created_at", Float, nullable=False),  # this and all times: seconds since the epoch
    Column("started_at", Float),
    Column("ended_at", Float),
    # how far it is, as its own events tell
    Column("step", Integer, nullable=False, server_default="0"),
    Column("total_steps", Integer, nullable=False, server_default="0"),
    Column("seconds_left", Float),
    Column("phase", Text, nullable=False, server_default=""),
    Column("metrics_json", Text, nullable=False, server_default="{}"),  # last value of each metric
    # what it was given
    Column("devices_json", Text, nullable=False, server_default="[]"),
    Column("port", Integer),
    # how far events.jsonl was read
    Column("events_device", Integer),
    Column("events_inode", Integer),
    Column("events_offset", Integer, nullable=False, server_default="0"),
    Column("events_epoch", Integer, nullable=False, server_default="0"),  # counts how often the file was replaced
    Column("bad_lines", Integer, nullable=False, server_default="0"),
    Index("runs_by_state", "state"),
)

metrics = Table(
    "metrics",
    metadata,
    Column("run_id", Text, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("key", Text, primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("step", Integer, nullable=False),
    Column("value", Float),  # null: the program reported a number that is not finite
    sqlite_with_rowid=False,
)

recorded_events = Table(  # notes, checkpoints, samples and the end, as the program told them
    "happenings",
    metadata,
    Column("run_id", Text, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("time", Float, nullable=False),
    Column("step", Integer, nullable=False),
    Column("values_json", Text, nullable=False),
    sqlite_with_rowid=False,
)

leases = Table(  # who holds a device; a run holds all of its own or none
    "leases",
    metadata,
    Column("device", Text, primary_key=True),
    Column("holder", Text, primary_key=True),  # a run's id, or what a chat calls itself
    Column("run_id", Text, ForeignKey("runs.id")),  # null: a chat
    Column("label", Text, nullable=False, server_default=""),  # what a chat talks to
    Column("keeps_out", Integer, nullable=False, server_default="1"),  # 0: others may take the device all the same
    # whose end frees a chat's lease; a run's is freed by the launcher, once no process of it is left
    Column("pid", Integer),
    Column("start_ticks", Integer),
    Column("boot_id", Text),
    Column("acquired_at", Float, nullable=False),
)
