"""Types of event that this capability appends."""

from __future__ import annotations

from noria.core.events.log import EventType

PROJECT_CREATED = EventType("project.created", "A project was made")
