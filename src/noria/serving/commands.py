"""`noria serve`, `noria up`; `noria deploy`, `noria endpoints` and `noria rollouts` come from modules of their own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from noria.core.console.options import JsonFlag, ProjectOption, WorkspaceOption
from noria.core.console.output import print_json, say
from noria.serving.endpoint_commands import endpoints
from noria.serving.rollouts.commands import rollouts
from noria.serving.rollouts.deploy_command import deploy

if TYPE_CHECKING:
    from noria.core.config import Settings
    from noria.serving.modelserver.link import Link
    from noria.serving.modelserver.options import ServeOptions

__all__ = ["deploy", "endpoints", "rollouts", "serve", "up"]

serve = typer.Typer(add_completion=False)
up = typer.Typer(add_completion=False)

PortOption = Annotated[
    int | None,
    typer.Option("--port", min=0, max=65535, help="Port to listen on.", show_default="any free one"),
]


@serve.command()
def serve_command(
    ref: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODEL[@VERSION]|PACKAGE]",
            help="Model, or package (a folder or `oci://…`), to serve; every endpoint if left out.",
        ),
    ] = None,
    endpoint: Annotated[
        str | None,
        typer.Option("--endpoint", help="Endpoint, made if there is none.", show_default="the model's name"),
    ] = None,
    host: Annotated[
        str, typer.Option("--host", metavar="ADDRESS", help="Address to listen on.")
    ] = "127.0.0.1",
    port: PortOption = None,
    allowed_hosts: Annotated[
        list[str] | None,
        typer.Option("--allowed-host", help="Further name by which clients ask.", show_default=False),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file", help="File with the token that every request must carry.", show_default=False
        ),
    ] = None,
    spool_mb: Annotated[
        int, typer.Option("--spool-mb", min=1, help="Disk for what waits to be handed on.")
    ] = 1024,
    workers: Annotated[int, typer.Option("--workers", min=1, max=64, help="Processes that answer.")] = 1,
    hung_after_s: Annotated[
        float,
        typer.Option("--hung-after-s", min=1, help="A worker whose request takes longer is replaced."),
    ] = 60.0,
    worker_memory_mb: Annotated[
        int | None,
        typer.Option(
            "--worker-memory-mb",
            min=64,
            help="A worker that takes more is replaced.",
            show_default="its share of four fifths of the machine's",
        ),
    ] = None,
    spans_to: Annotated[
        str | None,
        typer.Option(
            "--spans-to",
            metavar="URL",
            help="OpenTelemetry collector (OTLP over HTTP) for a span of each request.",
            show_default=False,
        ),
    ] = None,
    managed: Annotated[bool, typer.Option("--managed", hidden=True)] = False,
    parent_fd: Annotated[int | None, typer.Option("--parent-fd", hidden=True)] = None,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Start a model server."""
    import os

    from noria.core.config import load_settings
    from noria.core.lifeline import end_with_parent
    from noria.core.logs import configure_logging
    from noria.serving.modelserver.pinning import pin_libraries

    end_with_parent(parent_fd)
    configure_logging()
    pin_libraries(os.environ)
    from noria.serving.modelserver.options import ServeOptions, read_token

    settings = load_settings(workspace=workspace, project=project)
    options = ServeOptions(
        host=host,
        port=port or 0,
        allowed_hosts=tuple(allowed_hosts or ()),
        token=None if token_file is None else read_token(token_file),
        spool_bytes=spool_mb << 20,
        n_workers=workers,
        hung_after_s=hung_after_s,
        spans_to=spans_to,
        worker_memory_bytes=None if worker_memory_mb is None else worker_memory_mb << 20,
    )
    if managed:
        _serve_managed(settings, options)
    else:
        _serve_alone(settings, options, ref, endpoint)


@up.command()
def up_command(
    port: Annotated[
        int | None,
        typer.Option("--port", min=1, max=65535, help="Port of the server.", show_default="7777 if free"),
    ] = None,
    serve_port: Annotated[
        int | None,
        typer.Option(
            "--serve-port", min=1, max=65535, help="Port of the model server.", show_default="7778 if free"
        ),
    ] = None,
    serve_workers: Annotated[
        int, typer.Option("--serve-workers", min=1, max=64, help="Processes of the model server that answer.")
    ] = 1,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Start server, worker and model server on this machine."""
    import os

    from noria.core.config import load_settings
    from noria.serving.supervisor import Supervisor, plan_programs, refuse_second

    folder = load_settings(workspace=workspace).folder
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    refuse_second(folder)
    programs = plan_programs(folder, port=port, serve_port=serve_port, serve_workers=serve_workers)

    def on_ready() -> None:
        urls = {program.name: program.url for program in programs if program.url}
        if json:
            print_json({"url": urls["server"], "urls": urls, "workspace": str(folder)})
        else:
            for program in programs:
                if program.url:
                    sys.stdout.write(f"{program.label:<14}{program.url}\n")
            sys.stdout.write(f"{'Workspace':<14}{folder}\n")
        sys.stdout.flush()
        say("Press Ctrl-C to stop")

    Supervisor(folder, programs, os.environ, on_ready, say).run()


def _announce(url: str) -> None:
    sys.stderr.write(f"The model server answers at {url}\n")
    sys.stderr.flush()


def _serve_managed(settings: Settings, options: ServeOptions) -> None:
    from noria.core.clock import SystemClock
    from noria.serving.modelserver.link import managed_link
    from noria.serving.modelserver.process import run_model_server

    def link() -> Link:
        return managed_link(settings, SystemClock())

    run_model_server(settings, link, options, managed=True, announce=_announce)


def _serve_alone(settings: Settings, options: ServeOptions, ref: str | None, endpoint: str | None) -> None:
    from contextlib import ExitStack
    from dataclasses import replace

    from noria.core.names import split_ref
    from noria.serving.modelserver.process import run_model_server

    with ExitStack() as stack:
        if ref is not None and _names_package(ref):
            ref = _unpacked(settings, ref)
        if ref is not None:
            options = replace(options, only=(settings.project, endpoint or split_ref(ref)[0]))

        def link() -> Link:
            from noria.core.workspace import open_workspace
            from noria.serving.modelserver.alone import ensure_endpoint
            from noria.serving.modelserver.link import own_link

            workspace = stack.enter_context(open_workspace(settings))
            if ref is not None:
                ensure_endpoint(workspace, ref, endpoint)
            return own_link(workspace)

        run_model_server(settings, link, options, managed=False, announce=_announce)


def _names_package(ref: str) -> bool:
    """Tell whether a package is meant rather than a model of this workspace."""
    return ref.startswith(("oci://", "sha256:")) or "/" in ref or Path(ref, "oci-layout").is_file()


def _unpacked(settings: Settings, reference: str) -> str:
    from noria.core.workspace import open_workspace
    from noria.registry.packages.receiving import receive_package

    with open_workspace(settings) as workspace:
        version, _ = receive_package(workspace, reference)
        return version.ref
