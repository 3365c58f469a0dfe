"""What a version predicted for nobody: shadows, and the first versions of cascades."""

import sqlalchemy as sa
from alembic import op

revision = "serving_0007"
down_revision = "serving_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("capture_chunks", sa.Column("n_others", sa.BigInteger, nullable=False, server_default="0"))
