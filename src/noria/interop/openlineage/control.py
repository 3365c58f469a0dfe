"""What the control loop does for a collector of OpenLineage events."""

from __future__ import annotations

import logging
import threading

from noria.core.context import Context
from noria.core.control.workflows import Chore
from noria.interop.openlineage.entities import OpenLineageSection
from noria.interop.openlineage.sending import begin, send_waiting, waiting

EVERY_S = 1.0
FIRST_PAUSE_S = 2.0
LONGEST_PAUSE_S = 300.0

_log = logging.getLogger("noria.openlineage")


class Sender:
    """Sends in a thread of its own, since other chores wait for one that does not return."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._pause_s = 0.0
        self._due_s = 0.0

    @property
    def is_busy(self) -> bool:
        """Whether something is being sent."""
        return self._thread is not None and self._thread.is_alive()

    def look(self, app: Context) -> None:
        """Begin to send if something waits, unless sending goes on or shall pause."""
        if app.settings.section("openlineage", OpenLineageSection).url is None:
            return
        begin(app)
        if self.is_busy or app.clock.monotonic() < self._due_s or not waiting(app):
            return
        self._thread = threading.Thread(target=self._send, args=(app,), name="noria-openlineage", daemon=True)
        self._thread.start()

    def _send(self, app: Context) -> None:
        try:
            problem = send_waiting(app).problem
        except Exception as error:  # noqa: BLE001 - the loop goes on, and what waits is tried again
            problem = f"{type(error).__name__}: {error}"
        if problem is None:
            self._pause_s = 0.0
            return
        self._pause_s = min(max(FIRST_PAUSE_S, 2 * self._pause_s), LONGEST_PAUSE_S)
        self._due_s = app.clock.monotonic() + self._pause_s
        _log.warning("openlineage.waits", extra={"because": problem, "again_in_s": self._pause_s})


CHORES = [Chore("openlineage.send", EVERY_S, Sender().look)]
