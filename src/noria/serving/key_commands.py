"""`noria endpoints keys` and `noria endpoints capture`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from noria.core.console.options import JsonFlag, ProjectOption, WorkspaceOption, opened
from noria.core.console.output import facts, print_json, say, show, table

if TYPE_CHECKING:
    from noria.serving.keys import CaptureShare, EndpointKey

keys = typer.Typer(no_args_is_help=True, help="Keys that an endpoint asks for")

EndpointArgument = Annotated[str, typer.Argument(metavar="ENDPOINT", help="Endpoint.")]


@keys.command("create")
def create_key(
    endpoint: EndpointArgument,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose key it is.")],
    rate_per_s: Annotated[
        float | None, typer.Option("--rate", help="Requests a second.", show_default="as many as come")
    ] = None,
    burst: Annotated[
        int | None, typer.Option("--burst", min=1, help="Requests at once.", show_default="those of a second")
    ] = None,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Make a key; the endpoint asks everybody for one from then on."""
    from noria.core.serialisation import convert
    from noria.serving.keys import NewKey
    from noria.serving.service import EndpointKeys

    given = {"name": name, "rate_per_s": rate_per_s, "burst": burst}
    with opened(workspace, project) as ws:
        issued = ws.service(EndpointKeys).create(ws.project, endpoint, convert(given, NewKey, what="key"))
    if json:
        print_json(issued)
        return
    sys.stdout.write(f"{issued.secret}\n")
    say("It is shown this once. Send it as `Authorization: Bearer <key>`")


@keys.command("list")
def list_keys(
    endpoint: EndpointArgument,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """List the keys of an endpoint."""
    from noria.serving.service import EndpointKeys

    with opened(workspace, project) as ws:
        found = ws.service(EndpointKeys).list(ws.project, endpoint)
    columns = ["name", "key", "a second", "at once", "made by", "made", "revoked"]
    show(found, json=json, render=lambda _: table(columns, [_row(key) for key in found.items]))


@keys.command("revoke")
def revoke_key(
    endpoint: EndpointArgument,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name or id of the key.")],
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """End a key."""
    from noria.serving.service import EndpointKeys

    with opened(workspace, project) as ws:
        ws.service(EndpointKeys).revoke(ws.project, endpoint, name)
    say(f"Revoked the key {name}")


def capture_command(
    endpoint: EndpointArgument,
    share: Annotated[
        float | None,
        typer.Argument(metavar="[SHARE]", min=0, max=1, help="Share to capture, 0 to 1.", show_default=False),
    ] = None,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Show or change which share of its requests an endpoint captures."""
    from noria.serving.keys import CaptureShare
    from noria.serving.service import EndpointKeys

    with opened(workspace, project) as ws:
        service = ws.service(EndpointKeys)
        if share is None:
            found = service.capture_share(ws.project, endpoint)
        else:
            found = service.set_capture_share(ws.project, endpoint, CaptureShare(share=share))
    show(found, json=json, render=_capture_facts)


def _capture_facts(found: CaptureShare) -> Any:
    return facts([("captured", f"{found.share:.1%}")])


def _row(key: EndpointKey) -> tuple[Any, ...]:
    return (
        key.name,
        f"{key.shown}…",
        key.rate_per_s,
        key.burst,
        key.created_by,
        key.created_at,
        key.revoked_at,
    )
