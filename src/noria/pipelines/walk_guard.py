"""What the body of a pipeline meets while it is walked without a run: a workspace that it can only read."""

from __future__ import annotations

import contextvars
import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar, cast

from noria.core.operations import Service, operations_of
from noria.core.workspace import Workspace, current_workspace, use_workspace
from noria.tracking.active import ActiveRun
from noria.tracking.current import active

S = TypeVar("S", bound=Service)


class Wrote(BaseException):
    """The body would change the workspace; no `except Exception` of the body may catch it."""


@contextmanager
def only_reading(*, logging: bool) -> Iterator[None]:
    """Let the SDK's calls inside the block read the workspace and refuse those that would change it.

    Parameters
    ----------
    logging
        Whether metrics, params and tags may be logged, to nobody; else there is no active run.
    """
    nobody = cast("ActiveRun", _Nobody()) if logging else None
    token = active.set(nobody)
    try:
        with use_workspace(_ReadOnly()):
            yield
    finally:
        active.reset(token)


class _ReadOnly(Workspace):
    """The workspace around, opened when it is first asked for."""

    def __init__(self) -> None:
        self._around = contextvars.copy_context()

    @functools.cached_property
    def _real(self) -> Workspace:
        return self._around.run(current_workspace)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def service(self, cls: type[S]) -> S:
        """Give a service whose operations that change something are refused."""
        return cast("S", _ReadService(self._real.service(cls), cls))


class _ReadService:
    def __init__(self, service: Service, cls: type[Service]) -> None:
        self._service = service
        self._changing = {
            one.name: one.id for one in operations_of(cls) if one.declaration.method not in ("GET", "HEAD")
        }

    def __getattr__(self, name: str) -> Any:
        if name in self._changing:
            return functools.partial(_refuse, self._changing[name])
        return getattr(self._service, name)


def _refuse(operation: str, *_: Any, **__: Any) -> NoReturn:
    raise Wrote(operation)


class _Nobody:
    """A run that keeps nothing."""

    @property
    def workspace(self) -> NoReturn:
        """Refuse: only who starts a run inside of this one asks."""
        raise Wrote("runs.create")

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *_, **__: None
