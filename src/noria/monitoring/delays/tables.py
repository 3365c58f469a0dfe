"""Table of the delays of labels, by endpoint."""

from __future__ import annotations

import sqlalchemy as sa

from noria.core.database.schema import JsonText, metadata
from noria.monitoring.delays.entities import LabelDelays

monitor_label_delays = sa.Table(
    "monitor_label_delays",
    metadata,
    sa.Column("monitor_pk", sa.BigInteger, sa.ForeignKey("monitors.pk"), primary_key=True),
    sa.Column("body", JsonText(LabelDelays), nullable=False),
)
