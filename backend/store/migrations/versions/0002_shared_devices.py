"""Leases of more than runs: several may hold one device where they asked to, chats among them."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision: str | None = "0001"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    op.rename_table("leases", "leases_0001")
    op.create_table(
        "leases",
        sa.Column("device", sa.Text, primary_key=True),
        sa.Column("holder", sa.Text, primary_key=True),
        sa.Column("run_id", sa.Text, sa.ForeignKey("runs.id")),
        sa.Column("label", sa.Text, nullable=False, server_default=""),
        sa.Column("keeps_out", sa.Integer, nullable=False, server_default="1"),
        sa.Column("pid", sa.Integer),
        sa.Column("start_ticks", sa.Integer),
        sa.Column("boot_id", sa.Text),
        sa.Column("acquired_at", sa.Float, nullable=False),
    )
    op.execute(
        "INSERT INTO leases (device, holder, run_id, acquired_at) SELECT device, run_id, run_id, acquired_at FROM leases_0001"
    )
    op.drop_table("leases_0001")
