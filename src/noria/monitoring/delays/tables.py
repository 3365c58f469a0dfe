"""Table of the delays of labels, by endpoint."""

from __future__ import annotations

from noria.core.database.schema import BigInteger, Column, ForeignKey, JsonText, Table
from noria.monitoring.delays.entities import LabelDelays

monitor_label_delays = Table(
    "monitor_label_delays",
    Column("monitor_pk", BigInteger, ForeignKey("monitors.pk"), primary_key=True),
    Column("body", JsonText(LabelDelays), nullable=False),
)
