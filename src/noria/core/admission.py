"""Whether a caller may do something: the one decision behind the gate, pages, adapters and guarded services."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final, cast

from noria.core.errors import Forbidden, Unauthenticated
from noria.core.operations import Operation, Service, operations_of
from noria.core.permissions import Permission, Principal

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    S = TypeVar("S", bound=Service)

ANYONE = Principal(name="anyone")
"""Who calls a public route without a credential."""

SIGN_IN: Final = (
    "Set `NORIA_TOKEN` to an API token (`noria tokens create`), or run as the owner of the workspace folder"
)


class KeyRequired(Forbidden):
    """The caller reached an open server, but did not show that the workspace is theirs."""

    code = "key_required"


def admit(principal: Principal | None, permission: Permission | None, project: str | None) -> Principal:
    """Decide whether a caller may do what needs a permission.

    Parameters
    ----------
    project
        Where; None for the workspace as a whole.

    Raises
    ------
    Unauthenticated
        If nobody knows the caller.
    KeyRequired
        If the caller would need the workspace key as well.
    Forbidden
        If the caller may not, or no permission is declared.
    """
    if permission is None:
        raise Forbidden("This route lets nobody in, since it declares no permission")
    if principal is None:
        if permission.public:
            return ANYONE
        raise Unauthenticated("This server asks everyone to sign in", hint=SIGN_IN)
    if principal.may(permission, project):
        return principal
    if permission.key and not principal.holds_key:
        raise KeyRequired(
            f"`{permission.name}` needs the workspace key, even on this computer",
            hint="Use the `noria` command or the SDK as the owner of the workspace folder: they read its key",
        )
    where = f" in the project `{project}`" if project is not None else ""
    raise Forbidden(
        f"`{principal.name}` may not do this{where}: it needs `{permission.name}`",
        hint=f"Ask an admin for the role `{permission.role}`",
        details={"permission": permission.name, "role": str(permission.role)},
    )


class Guarded:
    """A service that asks for the declared permission before each call.

    For code that serves a caller from outside without a route of its own for each operation: protocol adapters.

    Attributes
    ----------
    in_process
        False, as of a client: it gives the operations and nothing else of the service.
    """

    in_process = False

    def __init__(self, service: Service) -> None:
        self._service = service

    def __getattr__(self, name: str) -> Any:
        kind: Any = type(self._service)  # see `operations_of` for why mypy is not told more
        operation = _by_name(kind).get(name)
        if operation is None:
            raise AttributeError(f"`{type(self._service).__name__}` has no operation `{name}`")
        return self._checked(operation)

    def _checked(self, operation: Operation) -> Callable[..., Any]:
        method = getattr(self._service, operation.name)
        needs = operation.declaration.needs
        caller = self._service.context.principal
        if "project" not in operation.path_parameters:
            admit(caller, needs, None)
            return cast("Callable[..., Any]", method)
        leading = next(iter(operation.parameters)) == "project"

        def call(*args: Any, **kwargs: Any) -> Any:
            project = args[0] if leading and args else kwargs["project"]
            admit(caller, needs, project)
            return method(*args, **kwargs)

        return call


@functools.cache
def _by_name(cls: Any) -> dict[str, Operation]:
    return {operation.name: operation for operation in operations_of(cls)}


def guarded(service: S) -> S:
    """Give the service with the check of permissions before each of its operations."""
    return cast("S", Guarded(service))
