"""Types of event that this capability appends."""

from __future__ import annotations

from noria.core.events.log import EventType

MONITOR_CREATED = EventType("monitor.created", "An endpoint is watched from now on")
ALERT_OPENED = EventType(
    "alert.opened", "A monitor raised an alert; the payload has its id, kind, version, figures and sentence"
)
ALERT_CLOSED = EventType("alert.closed", "An alert is over; the payload says why")
ALERT_NOTICED = EventType(
    "alert.noticed",
    "Receivers are to be told of a group of alerts; the payload has the group and the receivers",
)
SILENCE_BEGAN = EventType(
    "alert.silenced", "Nobody is told of some alerts for a time; the payload has which, until when, and why"
)
SILENCE_ENDED = EventType("alert.unsilenced", "A silence was ended before its time")
