"""The commands of `noria data` for other places: remote, push, pull."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from noria.core.config import load_settings
from noria.core.console.options import JsonFlag, ProjectOption, WorkspaceOption, opened
from noria.core.console.output import print_json, say

if TYPE_CHECKING:
    from noria.core.config import Settings

remote = typer.Typer(no_args_is_help=True, help="Places that versions are sent to and brought from")

_RemoteOption = Annotated[
    str | None,
    typer.Option(
        "--remote", "-r", metavar="NAME", help="Needed when there is more than one.", show_default=False
    ),
]


def register(data: typer.Typer) -> None:
    """Put the commands into the group `noria data`."""
    data.add_typer(remote, name="remote")
    data.command("push")(push)
    data.command("pull")(pull)


@remote.command("add")
def add_remote(
    name: Annotated[str, typer.Argument(help="What it is called here.")],
    url: Annotated[
        str, typer.Argument(help="Folder, `s3://bucket/prefix`, `gs://…` or `az://…`, without secrets.")
    ],
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Make a remote known; credentials come from the environment, and are never kept."""
    from noria.data.remotes import known

    line = known.add_remote(load_settings(workspace=workspace), name, url)
    if json:
        print_json(line)
    else:
        say(f"{line.name} is {line.url}")


@remote.command("list")
def list_remotes(json: JsonFlag = False, workspace: WorkspaceOption = None) -> None:
    """List the remotes that this workspace knows."""
    from noria.data.remotes.known import known_remotes

    lines = known_remotes(load_settings(workspace=workspace))
    if json:
        print_json(lines)
        return
    width = max((len(line.name) for line in lines), default=0)
    for line in lines:
        sys.stdout.write(f"{line.name:<{width}}  {line.url}\n")


@remote.command("rm")
def rm_remote(
    name: Annotated[str, typer.Argument(help="Remote to forget; what lies there stays.")],
    workspace: WorkspaceOption = None,
) -> None:
    """Forget a remote."""
    from noria.data.remotes.known import remove_remote

    remove_remote(load_settings(workspace=workspace), name)
    say(f"Forgot {name}; what lies there stays")


def push(
    refs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[REF]...",
            help="Versions; those that pointers here name when left out, else all of the project.",
            show_default=False,
        ),
    ] = None,
    remote_name: _RemoteOption = None,
    prune_tags: Annotated[
        bool,
        typer.Option(
            "--prune-tags",
            help="Take away tags of these datasets at the remote that there are none of here, whoever sent them.",
        ),
    ] = False,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Send versions to a remote; what it has already is not sent again."""
    from noria.core.console.progress import counting_bytes
    from noria.data.remotes import transfers
    from noria.data.remotes.known import find_remote
    from noria.data.trees.words import count, size

    settings = load_settings(workspace=workspace, project=project)
    line = find_remote(settings, remote_name)
    with counting_bytes("Sending") as progress:
        done = transfers.push(settings, line, refs or _pointed(), prune_tags=prune_tags, progress=progress)
    if json:
        print_json(done)
        return
    if done.pruned:
        say(f"Took {', '.join(done.pruned)} away at {line.name}")
    if done.pruned and not done.refs and not done.tags:
        return
    if not done.refs and not done.tags:
        say(f"{line.name} has {'it' if done.n_known == 1 else 'all of it'} already")
    else:
        sent = f"{count(done.n_packs, 'pack')}, {size(done.sent_bytes)}"
        say(f"Sent {', '.join([*done.refs, *done.tags])} to {line.name} ({sent})")


def pull(
    refs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[REF]...",
            help="Versions; those that pointers here name when left out, else all of the project.",
            show_default=False,
        ),
    ] = None,
    remote_name: _RemoteOption = None,
    as_name: Annotated[
        str | None,
        typer.Option("--as", metavar="NAME", help="Dataset that they go to here.", show_default=False),
    ] = None,
    only_list: Annotated[
        bool, typer.Option("--list", help="List what the remote has; bring nothing.")
    ] = False,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Bring versions from a remote, and make what pointers stand for equal to them."""
    from noria.core.console.progress import counting_bytes
    from noria.data.remotes import transfers
    from noria.data.remotes.known import find_remote
    from noria.data.trees.words import count, size

    settings = load_settings(workspace=workspace, project=project)
    line = find_remote(settings, remote_name)
    if only_list:
        _list_remote(line.url, settings.project, json=json)
        return
    pointed = [] if refs else _pointed()
    with opened(workspace, project) as ws, counting_bytes("Bringing") as progress:
        done = transfers.pull(ws, line, refs or pointed, as_name=as_name, progress=progress)
    if pointed:
        _follow(settings)
    if json:
        print_json(done)
    else:
        brought = f"{count(done.n_packs, 'pack')}, {size(done.brought_bytes)}"
        say(f"Brought {', '.join([*done.refs, *done.tags]) or 'nothing'} from {line.name} ({brought})")


def _pointed() -> list[str]:
    """Give the versions that the pointers at and below the working folder name."""
    from noria.data.trees.pointers import pointers_in, read_pointer

    return sorted({read_pointer(path).ref for path in pointers_in(Path())})


def _follow(settings: Settings) -> None:
    from noria.data.trees.following import Source, plan_checkouts, run_checkout

    with Source(settings) as source:
        for plan in plan_checkouts(source, None, None):
            run_checkout(source, plan, overwrite=False)


def _list_remote(url: str, project: str, *, json: bool) -> None:
    from noria.data.remotes.places import open_place
    from noria.data.remotes.pulling import remote_versions

    refs = [f"{name}@{number}" for name, number in remote_versions(open_place(url), project)]
    if json:
        print_json(refs)
    else:
        sys.stdout.write("".join(f"{ref}\n" for ref in refs))
