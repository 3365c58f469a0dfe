"""Groups of alerts, silences, notices to receivers, and what may become an alert."""

import sqlalchemy as sa
from alembic import op

revision = "monitoring_0002"
down_revision = "monitoring_0001"
branch_labels = None
depends_on = None

BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
OPEN = sa.text("closed_at is null")


def upgrade() -> None:
    _make_groups()
    _make_notices()
    op.create_table(
        "alert_silences",
        sa.Column("pk", BIG_KEY, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("project_pk", sa.BigInteger, sa.ForeignKey("projects.pk"), nullable=False),
        sa.Column("endpoint", sa.Text),
        sa.Column("kind", sa.Text),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("ends_at", sa.BigInteger, nullable=False),
    )
    op.create_index("alert_silences_by_end", "alert_silences", ["project_pk", "ends_at"])
    op.create_table(
        "alert_doubts",
        sa.Column("project_pk", sa.BigInteger, sa.ForeignKey("projects.pk"), primary_key=True),
        sa.Column("endpoint", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("first_at", sa.BigInteger, nullable=False),
        sa.Column("last_at", sa.BigInteger, nullable=False),
    )
    op.add_column("alerts", sa.Column("since", sa.BigInteger))
    op.add_column("alerts", sa.Column("group_pk", sa.BigInteger))
    op.create_index("alerts_by_group", "alerts", ["group_pk"])


def _make_groups() -> None:
    op.create_table(
        "alert_groups",
        sa.Column("pk", BIG_KEY, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("project_pk", sa.BigInteger, sa.ForeignKey("projects.pk"), nullable=False),
        sa.Column("cause", sa.Text, nullable=False),
        sa.Column("n_alerts", sa.BigInteger, nullable=False),
        sa.Column("opened_at", sa.BigInteger, nullable=False),
        sa.Column("closed_at", sa.BigInteger),
    )
    op.create_index("alert_groups_by_project", "alert_groups", ["project_pk", "id"])
    op.create_index(
        "alert_groups_open",
        "alert_groups",
        ["project_pk", "cause"],
        unique=True,
        sqlite_where=OPEN,
        postgresql_where=OPEN,
    )


def _make_notices() -> None:
    op.create_table(
        "alert_notices",
        sa.Column("pk", BIG_KEY, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("group_pk", sa.BigInteger, sa.ForeignKey("alert_groups.pk"), nullable=False),
        sa.Column("receiver", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("n_alerts", sa.BigInteger, nullable=False),
        sa.Column("alert_ids", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("told", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("n_attempts", sa.BigInteger, nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("due_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sa.UniqueConstraint("group_pk", "receiver", "kind", "n_alerts", name="alert_notices_once"),
    )
    op.create_index("alert_notices_by_receiver", "alert_notices", ["receiver", "pk"])
