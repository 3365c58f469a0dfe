"""Types of event that this capability appends."""

from __future__ import annotations

from noria.core.events.log import EventType

MONITOR_CREATED = EventType("monitor.created", "An endpoint is watched from now on")
ALERT_OPENED = EventType(
    "alert.opened", "A monitor raised an alert; the payload has its id, kind, version, figures and sentence"
)
ALERT_CLOSED = EventType("alert.closed", "An alert is over; the payload says why")
