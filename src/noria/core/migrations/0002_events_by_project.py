"""An index of events by project, for the page that shows them newest first."""

from alembic import op

revision = "core_0002"
down_revision = "core_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("events_by_project", "events", ["project", "position"])
