"""Table of the newest estimate of each endpoint."""

from __future__ import annotations

import sqlalchemy as sa

from noria.core.database.schema import JsonText, metadata
from noria.monitoring.estimated.entities import StandingEstimate

monitor_estimates = sa.Table(
    "monitor_estimates",
    metadata,
    sa.Column("monitor_pk", sa.BigInteger, sa.ForeignKey("monitors.pk"), primary_key=True),
    sa.Column("position", sa.BigInteger, nullable=False),
    sa.Column("body", JsonText(StandingEstimate), nullable=False),
)
