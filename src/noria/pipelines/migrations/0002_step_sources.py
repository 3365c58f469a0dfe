"""What each step of a run took from which other step, what it declares to give, and the nested pipeline it is in."""

import sqlalchemy as sa
from alembic import op

revision = "pipelines_0002"
down_revision = "pipelines_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("step_runs", sa.Column("sources", sa.Text, nullable=False, server_default="[]"))
    op.add_column("step_runs", sa.Column("declared", sa.Text, nullable=False, server_default="{}"))
    op.add_column("step_runs", sa.Column("within", sa.Text, nullable=False, server_default=""))
    op.add_column("step_runs", sa.Column("item", sa.BigInteger))
