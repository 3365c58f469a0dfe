"""The process in which jobs run: it takes requests from its worker, one after the other, and answers each.

Started as `python -m noria.pipelines.job_child REQUEST_FD ANSWER_FD [--warm]`. The end of the requests means that the
worker is gone, and then this process ends at once with everything that it started.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from noria.core.errors import ErrorBody, Failed, NoriaError

_WARM_MODULES = ("numpy", "scipy.stats", "sklearn.pipeline", "skops.io", "polars", "noria.pipelines.runner")


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A job to run.

    Attributes
    ----------
    entry, args
        What to call.
    folder
        Where to run it: the working folder, and for a job with code the place of that code.
    with_code
        Whether `entry` and what it imports are found in `folder` first.
    workspace, token, project
        Where the job works, and as whom.
    nonce
        Written to both streams when the job is over, so that its worker knows that it has read everything.
    """

    entry: str
    args: dict[str, Any]
    folder: str
    with_code: bool
    workspace: str
    token: str
    project: str
    nonce: str


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """How a job ended.

    Attributes
    ----------
    retry
        Whether trying again may help.
    """

    result: Any | None = None
    error: ErrorBody | None = None
    retry: bool = False


def main(arguments: list[str]) -> None:
    """Serve requests until they end."""
    request_fd, answer_fd = int(arguments[0]), int(arguments[1])
    signal.signal(signal.SIGTERM, _interrupt)
    requests: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_read_requests, args=(request_fd, requests), daemon=True).start()
    if "--warm" in arguments:
        _warm_up()
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            request = msgspec.json.decode(requests.get(), type=Request)
            answer = _answered(request)
            _mark_end(request.nonce)
            _send(answer_fd, answer)


def run(request: Request) -> Any:
    """Call a job's function with a workspace of its own.

    Raises
    ------
    NoriaError
        What the function raised, or if there is no such function.
    """
    from noria.core.config import load_settings
    from noria.core.control.codec import require_json
    from noria.core.workspace import open_workspace, use_workspace

    os.chdir(request.folder)
    os.environ |= {
        "NORIA_WORKSPACE": request.workspace,
        "NORIA_TOKEN": request.token,
        "NORIA_PROJECT": request.project,
    }
    if request.with_code:
        sys.path.insert(0, request.folder)
    settings = load_settings(folder=Path(request.folder))
    with open_workspace(settings) as workspace, use_workspace(workspace):
        function = _function(request.entry)
        return require_json(function(workspace, **request.args), f"What `{request.entry}` returned")


def _answered(request: Request) -> Answer:
    try:
        return Answer(result=run(request))
    except NoriaError as error:
        return Answer(error=error.to_body(), retry=error.retryable)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - whatever it is, the submitter must learn of it
        from noria.pipelines.failures import told, traceback_text

        details = {"type": type(error).__name__, "traceback": traceback_text(error)}
        return Answer(error=ErrorBody(code=Failed.code, message=told(error), details=details))


def _mark_end(nonce: str) -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # the job may have closed it
            stream.write(f"\n{nonce}\n")
            stream.flush()


def _function(entry: str) -> Callable[..., Any]:
    module, _, name = entry.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise Failed(f"The job's function `{entry}` cannot be imported: {error}") from error
    if not callable(found):
        raise Failed(f"`{entry}` is no function")
    function: Callable[..., Any] = found
    return function


def _send(descriptor: int, answer: Answer) -> None:
    data = msgspec.json.encode(answer) + b"\n"
    while data:
        data = data[os.write(descriptor, data) :]


def _read_requests(descriptor: int, requests: queue.SimpleQueue[bytes]) -> None:
    with os.fdopen(descriptor, "rb") as source:
        for line in source:
            requests.put(line)
    os.killpg(0, signal.SIGKILL)  # the worker is gone


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt("the worker ended this job")


def _warm_up() -> None:
    """Load what Noria's own jobs use, before the first one comes."""
    for name in _WARM_MODULES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


if __name__ == "__main__":
    main(sys.argv[1:])
