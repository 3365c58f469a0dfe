"""Choose the package that an image is made of: of a version, of what an endpoint serves, or one that is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from noria.core.errors import Conflict, NotFound
from noria.registry.packages.errors import PackageNotFound
from noria.registry.packages.references import is_package

if TYPE_CHECKING:
    from collections.abc import Callable

    from noria.core.workspace import Workspace


def choose_package(
    workspace: Workspace, wanted: str, *, say: Callable[[str], None]
) -> tuple[str, str | None]:
    """Give a package by its reference, and the endpoint that was meant; None if none was.

    A version without a package gets one.

    Parameters
    ----------
    wanted
        `model@version`, an endpoint or model of the workspace, or a package wherever it is.
    say
        Is told when a package is built.

    Raises
    ------
    Conflict
        If the endpoint serves several versions.
    NotFound
        If there is nothing of the name.
    """
    if is_package(wanted):
        return wanted, None
    ref, endpoint = (wanted, None) if "@" in wanted else _served(workspace, wanted)
    return _packed(workspace, ref, say), endpoint


def _served(workspace: Workspace, name: str) -> tuple[str, str | None]:
    """Give the version that an endpoint serves; the newest of a model where no endpoint has the name."""
    from noria.serving.service import Endpoints

    try:
        found = workspace.service(Endpoints).get(workspace.project, name)
    except NotFound:
        return name, None
    serving = [share.version for share in found.shares if share.weight > 0]
    if len(serving) > 1:
        listed = ", ".join(f"`{found.model}@{version}`" for version in serving)
        raise Conflict(
            f"The endpoint `{name}` serves {listed} now, and an image holds one version",
            hint=f"Name it: `{found.model}@{serving[0]}`, or wait until the rollout has ended",
        )
    return f"{found.model}@{found.version}", name


def _packed(workspace: Workspace, ref: str, say: Callable[[str], None]) -> str:
    from noria.registry.packages import client
    from noria.registry.packages.service import Packages
    from noria.registry.service import Models

    version = workspace.service(Models).resolve(workspace.project, ref)
    try:
        return workspace.service(Packages).newest(workspace.project, version.model, version.version).digest
    except PackageNotFound:
        say(f"Building the package of {version.ref}")
        return client.build(workspace, version.ref)[0].digest
