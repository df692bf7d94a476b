"""Runs, their metrics and happenings, and the devices they hold."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision: str | None = None
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    _make_runs()
    _make_events()
    _make_leases()


def _make_runs() -> None:
    op.create_table(
        "runs",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, nullable=False, unique=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False, server_default=""),
        sa.Column("hint", sa.Text, nullable=False, server_default=""),
        sa.Column("notes", sa.Text, nullable=False, server_default=""),
        sa.Column("spec_json", sa.Text, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("started_at", sa.Float),
        sa.Column("ended_at", sa.Float),
        sa.Column("step", sa.Integer, nullable=False, server_default="0"),
        sa.Column("total_steps", sa.Integer, nullable=False, server_default="0"),
        sa.Column("seconds_left", sa.Float),
        sa.Column("phase", sa.Text, nullable=False, server_default=""),
        sa.Column("metrics_json", sa.Text, nullable=False, server_default="{}"),
        sa.Column("devices_json", sa.Text, nullable=False, server_default="[]"),
        sa.Column("port", sa.Integer),
        sa.Column("events_device", sa.Integer),
        sa.Column("events_inode", sa.Integer),
        sa.Column("events_offset", sa.Integer, nullable=False, server_default="0"),
        sa.Column("events_epoch", sa.Integer, nullable=False, server_default="0"),
        sa.Column("bad_lines", sa.Integer, nullable=False, server_default="0"),
    )
    op.create_index("runs_by_state", "runs", ["state"])


def _make_events() -> None:
    op.create_table(
        "metrics",
        sa.Column("run_id", sa.Text, sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("step", sa.Integer, nullable=False),
        sa.Column("value", sa.Float),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "happenings",
        sa.Column("run_id", sa.Text, sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("time", sa.Float, nullable=False),
        sa.Column("step", sa.Integer, nullable=False),
        sa.Column("values_json", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )


def _make_leases() -> None:
    op.create_table(
        "leases",
        sa.Column("device", sa.Text, primary_key=True),
        sa.Column("run_id", sa.Text, sa.ForeignKey("runs.id"), nullable=False),
        sa.Column("acquired_at", sa.Float, nullable=False),
    )
