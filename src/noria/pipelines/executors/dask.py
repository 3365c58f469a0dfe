"""Run attempts on a Dask cluster: `--on dask://HOST:PORT`.

Dask carries messages and counts resources; the attempts themselves run in processes of their own on its workers. A
step's `gpus`, `memory_bytes` and `cpus` are asked of workers that declare `GPU`, `MEMORY` or `CPU` among their
resources (`dask worker --resources "GPU=1"`).
"""

from __future__ import annotations

import contextlib
import threading
from typing import Any

import msgspec

from noria._version import __version__
from noria.core.errors import ConfigInvalid, Unavailable
from noria.core.ids import new_id
from noria.pipelines.executors.attempt import Made
from noria.pipelines.executors.node import Errand, Report, end_run, run_errand, running_of
from noria.pipelines.executors.processes import Listener, pass_on
from noria.pipelines.executors.work import Outcome, Setup, Work
from noria.pipelines.failures import ClusterLost, StepFailed

_CONNECT_S = 5.0
_NAMES = {"gpus": "GPU", "memory_bytes": "MEMORY", "cpus": "CPU"}
_WORDS = {"gpus": "graphics cards", "memory_bytes": "bytes of memory", "cpus": "processors"}


class DaskHands:
    """Attempts on a Dask cluster.

    Parameters
    ----------
    address
        `dask://HOST:PORT`.

    Raises
    ------
    Unavailable
        If no scheduler answers.
    ConfigInvalid
        If Dask is not installed.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._session = new_id()
        self._client: Any = _connected(address)
        self._futures: dict[int, Any] = {}
        self._lock = threading.Lock()
        self._closing = False

    def begin(self, setup: Setup, listener: Listener) -> None:
        """Remember where attempts work, and who is told how they go."""
        self._setup = setup
        self._listener = listener
        workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
        self._most: dict[str, float] = {}
        for worker in workers:
            for name, amount in worker.get("resources", {}).items():
                self._most[name] = max(self._most.get(name, 0.0), float(amount))

    def submit(self, work: Work) -> None:
        """Send an attempt to the cluster."""
        try:
            resources = self._resources(work)
            frame = msgspec.msgpack.encode(
                Errand(version=__version__, session=self._session, setup=self._setup, work=work)
            )
            future = self._client.submit(
                run_errand, frame, key=f"{work.step}-{new_id()}", pure=False, resources=resources or None
            )
        except StepFailed as error:
            self._tell(work, Outcome(made=Made(), error=error.to_body()))
            return
        except Exception:  # noqa: BLE001 - whatever breaks in a client whose cluster is gone
            self._tell(work, self._lost(work))
            return
        with self._lock:
            self._futures[work.number] = future
        self._listener.begun(work.number)
        future.add_done_callback(lambda done: self._done(work, done))

    def drop_waiting(self) -> list[int]:
        """Cancel the attempts that no worker has begun."""
        running: set[int] = set()
        with contextlib.suppress(Exception):  # a cluster that is gone runs nothing
            for numbers in self._client.run(running_of, self._session).values():
                running.update(numbers)
        with self._lock:
            dropped = {number: future for number, future in self._futures.items() if number not in running}
            for number in dropped:
                del self._futures[number]
        with contextlib.suppress(Exception):
            self._client.cancel(list(dropped.values()))
        return list(dropped)

    def close(self) -> None:
        """Stop what runs, and leave the cluster."""
        if self._closing:
            return
        self._closing = True
        with contextlib.suppress(Exception):
            self._client.cancel(list(self._futures.values()))
            self._client.run(end_run, self._session)
        with contextlib.suppress(Exception):
            self._client.close(timeout=2)

    def _resources(self, work: Work) -> dict[str, float]:
        """Give what to ask of workers: only what some worker declares can be counted by Dask.

        Dask itself would let what no worker has wait for ever.
        """
        asked = {name: getattr(work.resources, name) or 0 for name in _NAMES}
        for name, amount in asked.items():
            most = self._most.get(_NAMES[name])
            short = name == "gpus" if most is None else amount > most
            if amount and short:
                raise StepFailed(
                    f"The step `{work.step}` asks for {amount} {_WORDS[name]}, and no worker of "
                    f"`{self._address}` declares {'any' if most is None else f'more than {most:g}'}",
                    hint=f'dask worker … --resources "{_NAMES[name]}={amount:g}"',
                    details={"step": work.step},
                )
        return {
            _NAMES[name]: float(amount)
            for name, amount in asked.items()
            if amount and _NAMES[name] in self._most
        }

    def _done(self, work: Work, future: Any) -> None:
        with self._lock:
            current: Any = self._futures.get(work.number)
            if self._closing or current is not future:
                return
            del self._futures[work.number]
        if future.status == "finished":
            self._take(work, future)
        elif future.status == "error":
            self._tell(work, Outcome(made=Made(), error=_failure(work, future.exception()).to_body()))
        else:
            self._tell(work, self._lost(work))

    def _take(self, work: Work, future: Any) -> None:
        try:
            frame: bytes = future.result(timeout=_CONNECT_S)
        except Exception:  # noqa: BLE001 - the cluster went away between the end of the step and now
            self._tell(work, self._lost(work))
            return
        if frame:
            report = msgspec.msgpack.decode(frame, type=Report)
            for stream, text in report.said:
                pass_on(stream, text)
            self._tell(work, report.outcome)

    def _tell(self, work: Work, outcome: Outcome) -> None:
        self._listener.ended(work.number, outcome)

    def _lost(self, work: Work) -> Outcome:
        return Outcome(made=Made(), error=ClusterLost(work.step, self._address, self._setup.run.id).to_body())


def _failure(work: Work, error: Any) -> StepFailed:
    from distributed import KilledWorker

    told = f"{type(error).__name__}: {error}"
    if isinstance(error, KilledWorker):
        told = "each worker that took it ended, probably because it was out of memory"
    return StepFailed(
        f"The cluster could not run the step `{work.step}`: {told}",
        hint="See the logs of the workers (`dask worker`)",
        details={"step": work.step},
    )


def _connected(address: str) -> Any:
    try:
        import dask
        from distributed import Client
    except ImportError as error:
        raise ConfigInvalid(f"`--on {address}` needs Dask", hint='pip install "noria[dask]"') from error
    scheme = "tls" if dask.config.get("distributed.comm.require-encryption", None) else "tcp"
    place = address.replace("dask", scheme, 1)
    try:
        made: Any = Client
        return made(place, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise Unavailable(
            f"No scheduler of Dask answers at `{address}`",
            hint="Start one with `dask scheduler`, and workers with `dask worker HOST:PORT`",
        ) from error
