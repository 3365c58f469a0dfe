"""A workspace whose service can be told to fail: the real one, behind a switch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from noria.core.operations import Service
from noria.core.workspace import Backend, Workspace

S = TypeVar("S", bound=Service)


class FlakyBackend:
    """Passes calls on, unless an error is set; counts those that failed.

    Attributes
    ----------
    error
        Raised by every call of an operation instead of what it does.
    after
        When true the call is made first, as when the answer is lost on its way.
    calls
        Names of the operations that were called.
    """

    def __init__(self, inner: Backend) -> None:
        self._inner = inner
        self.error: Exception | None = None
        self.after = False
        self.n_failed = 0
        self.calls: list[str] = []

    def service(self, cls: type[S]) -> S:
        """Make a service of this class."""
        made: Any = _Flaky(self, self._inner.service(cls))
        service: S = made
        return service

    def close(self) -> None:
        """Let go of connections."""
        self._inner.close()


class _Flaky:
    def __init__(self, backend: FlakyBackend, service: Service) -> None:
        self._backend = backend
        self._service = service

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._service, name)
        return self._guarded(found) if callable(found) else found

    def _guarded(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*args: Any, **kwargs: Any) -> Any:
            backend = self._backend
            backend.calls.append(call.__name__)
            if backend.error is None:
                return call(*args, **kwargs)
            backend.n_failed += 1
            if backend.after:
                call(*args, **kwargs)
            raise backend.error

        return guarded


def flaky(workspace: Workspace) -> tuple[Workspace, FlakyBackend]:
    """Give the workspace behind a switch, and the switch."""
    backend = FlakyBackend(workspace.backend)
    return Workspace(workspace.settings, backend, workspace.clock), backend
