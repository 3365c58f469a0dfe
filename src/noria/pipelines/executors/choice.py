"""Choose where the steps of a run are executed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from noria.core.errors import Invalid
from noria.pipelines.cache_entities import StoredValue
from noria.pipelines.calling import Executor
from noria.pipelines.executors.calls import Calls
from noria.pipelines.executors.inline import InlineExecutor

if TYPE_CHECKING:
    from noria.pipelines.executors.processes import Hands
    from noria.pipelines.executors.work import Setup

MOST_WORKERS = 256


class ExecutorChoice(msgspec.Struct, frozen=True, kw_only=True):
    """Where the steps of a run are executed.

    Attributes
    ----------
    workers
        In so many processes of this machine; None for this process, one step after the other.
    on
        On a cluster: `dask://HOST:PORT` or `ray://HOST:PORT`.
    """

    workers: int | None = None
    on: str | None = None

    def __post_init__(self) -> None:
        """Check it.

        Raises
        ------
        Invalid
            If a number or an address is none.
        """
        if self.workers is not None and self.on is not None:
            raise Invalid(
                "`--workers` and `--on` exclude each other", hint="The cluster has workers of its own"
            )
        if self.workers is not None and not 1 <= self.workers <= MOST_WORKERS:
            raise Invalid(
                f"`--workers` is {self.workers}", hint=f"Give a whole number from 1 to {MOST_WORKERS}"
            )
        if self.on is not None and not self.on.startswith(("dask://", "ray://")):
            raise Invalid(f"`{self.on}` is no cluster", hint="Write `dask://HOST:PORT` or `ray://HOST:PORT`")


class Executing(Executor, Protocol):
    """Runs the steps of one run."""

    def store(self, value: Any) -> StoredValue:
        """Store what the pipeline's body made."""
        ...

    def finish(self) -> None:
        """Wait until every step is over."""
        ...

    def close(self, *, at_once: bool) -> None:
        """Let steps that run come to their end, or stop them."""
        ...


def open_hands(choice: ExecutorChoice) -> Hands | None:
    """Get ready what the steps run in, ahead of their run; None when that is this process.

    Raises
    ------
    Unavailable
        If the cluster does not answer.
    ConfigInvalid
        If the package for it is missing.
    """
    if choice.workers is not None:
        from noria.pipelines.executors.processes import ProcessHands

        return ProcessHands(choice.workers)
    if choice.on is None:
        return None
    if choice.on.startswith("dask://"):
        from noria.pipelines.executors.dask import DaskHands

        return DaskHands(choice.on)
    from noria.pipelines.executors.ray import RayHands

    return RayHands(choice.on)


def open_executor(calls: Calls, hands: Hands | None, setup: Setup) -> Executing:
    """Make the executor of a run."""
    if hands is None:
        return InlineExecutor(calls, setup)
    from noria.pipelines.executors.parallel import ParallelExecutor

    return ParallelExecutor(calls, hands, setup, shares_files=setup.shares_files)
