"""A pipe between a parent and its children, so that no child outlives its parent.

The parent holds the writing end and never writes. When it dies, however it dies, the kernel closes that end and every
child reads the end of the file. Signals cannot promise this: nobody sends one on behalf of a process that was killed.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable

GRACE_S = 10.0
"""How long an orphan may take to end in order, before it is ended without."""


class Lifeline:
    """The parent's side.

    Attributes
    ----------
    child_fd
        Descriptor that children inherit (`pass_fds`) and are told of by `--parent-fd N`.
    """

    def __init__(self) -> None:
        self.child_fd, self._held_fd = os.pipe()

    def close(self) -> None:
        """Let go: children that still run take it as the parent's death."""
        os.close(self._held_fd)
        os.close(self.child_fd)


def end_with_parent(
    parent_fd: int | None, *, end: Callable[[], None] | None = None, grace_s: float = GRACE_S
) -> None:
    """End this process when the parent at the other end of `parent_fd` is gone.

    Parameters
    ----------
    parent_fd
        Inherited descriptor; None does nothing, so that a command can pass its option on.
    end
        Called in a thread of its own when the parent is gone; by default this process sends itself SIGTERM.
    grace_s
        After this many seconds more the process is ended in any case.
    """
    if parent_fd is None:
        return
    os.set_inheritable(parent_fd, False)
    threading.Thread(
        target=_watch, args=(parent_fd, end or _terminate_self, grace_s), name="noria-lifeline", daemon=True
    ).start()


def _watch(parent_fd: int, end: Callable[[], None], grace_s: float) -> None:
    while os.read(parent_fd, 1):
        pass
    timer = threading.Timer(grace_s, os._exit, args=(1,))
    timer.daemon = True
    timer.start()
    end()


def _terminate_self() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
