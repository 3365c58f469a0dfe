"""Run attempts on a Ray cluster: `--on ray://HOST:PORT`.

Ray carries messages and counts resources; the attempts themselves run in processes of their own on its machines.
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
from noria.pipelines.executors.node import Errand, Report, run_errand
from noria.pipelines.executors.processes import Listener, pass_on
from noria.pipelines.executors.work import Outcome, Setup, Work
from noria.pipelines.failures import ClusterLost, StepFailed

_LOOK_S = 0.1


class RayHands:
    """Attempts on a Ray cluster.

    Parameters
    ----------
    address
        `ray://HOST:PORT`.

    Raises
    ------
    Unavailable
        If no cluster answers.
    ConfigInvalid
        If Ray is not installed.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._session = new_id()
        self._ray = _connected(address)
        self._run: Any = self._ray.remote(max_retries=0)(run_errand)
        self._works: dict[Any, Work] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="noria-ray", daemon=True)

    def begin(self, setup: Setup, listener: Listener) -> None:
        """Remember where attempts work, and who is told how they go."""
        self._setup = setup
        self._listener = listener
        self._thread.start()

    def submit(self, work: Work) -> None:
        """Send an attempt to the cluster."""
        frame = msgspec.msgpack.encode(
            Errand(version=__version__, session=self._session, setup=self._setup, work=work)
        )
        wanted = work.resources
        asked = self._run.options(
            num_cpus=wanted.cpus, num_gpus=wanted.gpus, memory=wanted.memory_bytes, name=work.step
        )
        try:
            reference = asked.remote(frame)
        except Exception:  # noqa: BLE001 - whatever breaks in a client whose cluster is gone
            self._lost(work)
            return
        with self._lock:
            self._works[reference] = work
        self._listener.begun(work.number)

    def drop_waiting(self) -> list[int]:
        """Cancel the attempts; Ray does not say which have begun, so those end too."""
        with self._lock:
            works, self._works = self._works, {}
        for reference in works:
            self._cancel(reference)
        return [work.number for work in works.values()]

    def close(self) -> None:
        """Stop what runs, and leave the cluster."""
        if self._closing.is_set():
            return
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()
        self.drop_waiting()
        with contextlib.suppress(Exception):
            self._ray.shutdown()

    def _cancel(self, reference: Any) -> None:
        # The worker process of Ray ends, and the step's process with it.
        with contextlib.suppress(Exception):
            self._ray.cancel(reference, force=True)

    def _watch(self) -> None:
        while not self._closing.is_set():
            with self._lock:
                references = list(self._works)
            if not references:
                self._closing.wait(_LOOK_S)
                continue
            try:
                ready, _ = self._ray.wait(references, timeout=_LOOK_S)
            except Exception:  # noqa: BLE001 - the connection is gone, whatever it raises
                ready = references
            for reference in ready:
                self._take(reference)

    def _take(self, reference: Any) -> None:
        with self._lock:
            work = self._works.pop(reference, None)
        if work is None:
            return
        try:
            frame: bytes = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            self._listener.ended(work.number, Outcome(made=Made(), error=_failure(work, error).to_body()))
            return
        except Exception:  # noqa: BLE001 - the connection is gone, whatever it raises
            self._lost(work)
            return
        report = msgspec.msgpack.decode(frame, type=Report)
        for stream, text in report.said:
            pass_on(stream, text)
        self._listener.ended(work.number, report.outcome)

    def _lost(self, work: Work) -> None:
        failure = ClusterLost(work.step, self._address, self._setup.run.id)
        self._listener.ended(work.number, Outcome(made=Made(), error=failure.to_body()))


def _failure(work: Work, error: Exception) -> StepFailed:
    return StepFailed(
        f"The cluster could not run the step `{work.step}`: {type(error).__name__}: {error}",
        hint="See the state of the cluster (`ray status`)",
        details={"step": work.step},
    )


def _connected(address: str) -> Any:
    try:
        import ray
    except ImportError as error:
        raise ConfigInvalid(f"`--on {address}` needs Ray", hint='pip install "noria[ray]"') from error
    try:
        ray.init(address=address, log_to_driver=False)
    except (ConnectionError, OSError, ValueError, RuntimeError) as error:
        raise Unavailable(
            f"No cluster of Ray answers at `{address}`: {error}",
            hint="Start one with `ray start --head --ray-client-server-port 10001`",
        ) from error
    return ray
