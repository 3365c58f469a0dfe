"""What the code at hand reads and makes, told to whoever records it.

`noria.dataset()` and `noria.register()` stand below and above tracking; they meet here. Without a recorder the calls
do nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any, Protocol

import msgspec


class CodeOrigin(msgspec.Struct, frozen=True, kw_only=True):
    """The pipeline run that is active: what a model registered now can be made again from.

    Attributes
    ----------
    run_id
        The tracking run.
    pipeline
        `module:name`.
    params
        Parameters of the pipeline, as JSON values.
    snapshot
        Digest of the project's code, if one was taken.
    """

    run_id: str
    pipeline: str
    params: dict[str, Any]
    snapshot: str | None = None


origin: ContextVar[CodeOrigin | None] = ContextVar("noria_code_origin", default=None)
"""Set by the pipeline runner, read at registration."""


class Recorder(Protocol):
    """Keeps the inputs and outputs of a run."""

    @property
    def inputs_read(self) -> Sequence[str]:
        """References of what was read so far, in the order of the first reading."""
        ...

    def record_input(self, ref: str, digest: str) -> None:
        """Note that the run read `ref` (`dataset:digits@2`), whose bytes are `digest`."""
        ...

    def record_output(self, ref: str, digest: str) -> None:
        """Note that the run made `ref`."""
        ...


recorder: ContextVar[Recorder | None] = ContextVar("noria_lineage_recorder", default=None)
follower: ContextVar[Callable[[str, str], None] | None] = ContextVar("noria_lineage_follower", default=None)


def record_input(ref: str, digest: str) -> None:
    """Tell the active recorder, if there is one, what was read."""
    active = recorder.get()
    if active is not None:
        active.record_input(ref, digest)


def record_output(ref: str, digest: str) -> None:
    """Tell the active recorder, if there is one, what was made."""
    active = recorder.get()
    if active is not None:
        active.record_output(ref, digest)


def record_followed(name: str, ref: str) -> None:
    """Tell that a name whose target moves (`dataset:digits`, its newest version) led to `ref` this time.

    What was computed from it holds only as long as the name leads there.
    """
    follow = follower.get()
    if follow is not None:
        follow(name, ref)


def last_dataset() -> str | None:
    """Give the data set that the active run read last, `name@version`; None without one."""
    active = recorder.get()
    read = [ref for ref in active.inputs_read if ref.startswith("dataset:")] if active else []
    return read[-1].removeprefix("dataset:") if read else None
