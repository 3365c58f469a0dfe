"""Tables of the newest estimate of each endpoint, and of past ones."""

from __future__ import annotations

import sqlalchemy as sa

from noria.core.database.schema import JsonText, metadata
from noria.monitoring.estimated.entities import EstimatePoint, StandingEstimate

monitor_estimates = sa.Table(
    "monitor_estimates",
    metadata,
    sa.Column("monitor_pk", sa.BigInteger, sa.ForeignKey("monitors.pk"), primary_key=True),
    sa.Column("position", sa.BigInteger, nullable=False),
    sa.Column("body", JsonText(StandingEstimate), nullable=False),
    sa.Column("label_position", sa.BigInteger, nullable=False, server_default="0"),
)

monitor_estimate_points = sa.Table(
    "monitor_estimate_points",
    metadata,
    sa.Column("monitor_pk", sa.BigInteger, sa.ForeignKey("monitors.pk"), primary_key=True),
    sa.Column("position", sa.BigInteger, primary_key=True),
    sa.Column("body", JsonText(EstimatePoint), nullable=False),
)
