"""Tables of the newest estimate of each endpoint, and of past ones."""

from __future__ import annotations

from noria.core.database.schema import BigInteger, Column, ForeignKey, JsonText, Table
from noria.monitoring.estimated.entities import EstimatePoint, StandingEstimate

monitor_estimates = Table(
    "monitor_estimates",
    Column("monitor_pk", BigInteger, ForeignKey("monitors.pk"), primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("body", JsonText(StandingEstimate), nullable=False),
    Column("label_position", BigInteger, nullable=False, server_default="0"),
)

monitor_estimate_points = Table(
    "monitor_estimate_points",
    Column("monitor_pk", BigInteger, ForeignKey("monitors.pk"), primary_key=True),
    Column("position", BigInteger, primary_key=True),
    Column("body", JsonText(EstimatePoint), nullable=False),
)
