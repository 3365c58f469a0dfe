"""Keep the control loop: start it when this server may run it, watch over that right, and stop it in time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from noria.core.context import Context
from noria.core.control.lock import PostgresLeaderLock
from noria.core.errors import Failed, NoriaError
from noria.core.events.log import EventLog
from noria.server.assembly import Control

LOOK_EVERY_S = 1.0
"""How often a server on PostgreSQL makes sure that it is still the one that runs the loop."""

_log = logging.getLogger("noria.server")


class ControlKeeper:
    """Runs the loop from a thread of its own.

    On SQLite the folder's lock gives the right to it. Servers that share a PostgreSQL take turns: one runs the loop,
    the others answer requests and stand by.

    Parameters
    ----------
    load
        Imports what the loop runs; called in the loop's thread.
    """

    def __init__(self, context: Context, load: Callable[[], Control]) -> None:
        self._context = context
        self._load = load
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="noria-control-keeper", daemon=True)
        self._state = "starting"
        self._failure: BaseException | None = None
        self._on_failure: Callable[[], object] = lambda: None

    def start(self, *, on_failure: Callable[[], object]) -> None:
        """Begin; `on_failure` is called if the loop cannot be started, and the server should stop then."""
        self._on_failure = on_failure
        self._thread.start()

    def stop(self) -> None:
        """Stop the loop, and wait until it has stopped."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def state(self) -> str:
        """Tell what the loop does: `starting`, `running` or `standby`.

        Raises
        ------
        Failed
            If it could not be started.
        """
        self.raise_failure()
        return self._state

    def raise_failure(self) -> None:
        """Raise what kept the loop from running, if anything did."""
        failure = self._failure
        if isinstance(failure, NoriaError):
            raise failure
        if failure is not None:
            raise Failed(
                f"The control loop cannot run: {failure!r}", hint="See the server's log"
            ) from failure

    def _run(self) -> None:
        try:
            if self._context.database.is_sqlite:
                self._lead(self._stopping.wait)
            else:
                self._take_turns()
        except BaseException as error:  # noqa: BLE001 - told to the server's main thread, which raises it
            _log.exception("control.failed")
            self._failure = error
            self._on_failure()

    def _take_turns(self) -> None:
        lock = PostgresLeaderLock(self._context.settings.database_url)
        try:
            while not self._stopping.is_set():
                self._state = "standby"
                _log.info("control.standby")
                if lock.wait(self._stopping):
                    self._lead(lambda: self._until_lost(lock))
        finally:
            lock.release()

    def _until_lost(self, lock: PostgresLeaderLock) -> None:
        while not self._stopping.wait(LOOK_EVERY_S):
            if not lock.is_held():
                _log.warning("control.lost")
                return

    def _lead(self, wait: Callable[[], object]) -> None:
        # The engine takes half a second to import; the server answers meanwhile.
        from noria.core.control.loop import ControlLoop, ControlSettings, control_url

        context, control = self._context, self._load()
        loop = ControlLoop(
            settings=ControlSettings(url=control_url(context.settings.folder, context.settings.database_url)),
            app=context,
            clock=context.clock,
            workflows=control.workflows,
            ticks=control.ticks,
            reactions=control.reactions,
            chores=control.chores,
            events=EventLog(context.database),
        )
        loop.start()
        self._state = "running"
        try:
            wait()
        finally:
            loop.stop()
