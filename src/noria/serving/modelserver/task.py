"""What a worker is told when it is started."""

from __future__ import annotations

import msgspec

from noria.serving.modelserver.options import ServeOptions


class WorkerTask(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker is told, through its standard input.

    Attributes
    ----------
    own
        How the names of its spools begin.
    page
        Number of its page on the board.
    listen_fd, board_fd, parent_fd, wake_fd
        Descriptors that it inherits: the socket (None for a process that does not listen), the shared memory, the pipe
        that ends with the parent, and the pipe that wakes the parent.
    """

    workspace: str
    project: str
    managed: bool
    options: ServeOptions
    url: str
    own: str
    page: int
    n_pages: int
    listen_fd: int | None
    board_fd: int
    parent_fd: int
    wake_fd: int
