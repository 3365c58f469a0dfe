"""`noria packages`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from noria.core.console.options import JsonFlag, LimitOption, ProjectOption, WorkspaceOption, opened
from noria.core.console.output import facts, say, show, table

if TYPE_CHECKING:
    from noria.registry.packages.entities import Package, PackageDifference, Verified

packages = typer.Typer(no_args_is_help=True, help="Packages of model versions")

VersionArgument = Annotated[str, typer.Argument(metavar="MODEL@VERSION", help="Version to pack.")]
PackageArgument = Annotated[
    str,
    typer.Argument(
        metavar="PACKAGE",
        help="A folder, `oci://host/repository:tag`, or a digest or `model@version` of this workspace.",
    ),
]


@packages.command("build")
def build(
    ref: VersionArgument,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FOLDER", help="Write it there too.", show_default=False)
    ] = None,
    unsigned: Annotated[bool, typer.Option("--unsigned", help="Leave signing to somebody else.")] = False,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Build a signed package of a version, and keep it."""
    from noria.registry.packages import client

    with opened(workspace, project) as ws:
        package, built = client.build(ws, ref, to=to, sign=not unsigned)
    if package.lock_incomplete is not None:
        if built.resolved.said:
            say(built.resolved.said.strip())
        say(f"The lock is incomplete: {package.lock_incomplete}")
    if to is not None:
        say(f"Wrote {to}")
    show(package, json=json, render=_package_facts)


@packages.command("list")
def list_packages(
    model: Annotated[
        str | None, typer.Argument(help="Only packages of this model.", show_default=False)
    ] = None,
    limit: LimitOption = 50,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """List the packages of the workspace, newest first."""
    from noria.registry.packages.service import Packages

    with opened(workspace, project) as ws:
        page = ws.service(Packages).list(ws.project, model=model, limit=limit)
    columns = ["version", "digest", "size", "lock", "signed by", "built"]
    rows = [
        (p.ref, p.digest, _size(p.size_bytes), _lock_state(p.lock_incomplete), p.key_id, p.created_at)
        for p in page.items
    ]
    show(page, json=json, render=lambda _: table(columns, rows))


@packages.command("show")
def show_package(
    reference: PackageArgument,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Show what is in a package, verified."""
    from noria.registry.packages import client

    with opened(workspace, project) as ws:
        told, parts = client.contents(ws, reference)
    rows = [(each.title, each.media_type, _size(each.size), each.digest[:19]) for each in parts]

    def render(_: Any) -> Any:
        from rich.console import Group

        return Group(_verified_facts(told), "", table(["file", "type", "size", "digest"], rows))

    show({"package": told, "parts": parts}, json=json, render=render)


@packages.command("verify")
def verify(
    reference: PackageArgument,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Check a package: who signed it, and every byte."""
    from noria.registry.packages import client

    with opened(workspace, project) as ws:
        told = client.verify(ws, reference)
    show(told, json=json, render=_verified_facts)


@packages.command("sign")
def sign(
    reference: PackageArgument,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Vouch for a package with the key of this workspace."""
    from noria.core.console.output import print_json
    from noria.registry.packages import client
    from noria.registry.packages.signing import SigningKeys, key_id

    with opened(workspace, project) as ws:
        client.sign(ws, reference)
        key = key_id(SigningKeys.of(ws).public())
    if json:
        print_json({"package": reference, "key_id": key})
    else:
        say(f"`{reference}` is signed by the key `{key}`")


@packages.command("push")
def push(
    reference: PackageArgument,
    target: Annotated[str, typer.Argument(help="A folder, or `oci://host/repository:tag`.")],
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Copy a package to a folder or a registry."""
    from noria.core.console.output import print_json
    from noria.registry.packages import client

    with opened(workspace, project) as ws:
        place, descriptor = client.send(ws, reference, target)
    if json:
        print_json({"place": place, "digest": descriptor.digest})
    else:
        say(f"Pushed; from now on it can be had as {place}")


@packages.command("pull")
def pull(
    reference: PackageArgument,
    folder: Annotated[Path, typer.Argument(help="Folder to write it to.")],
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Fetch a package into a folder, verified."""
    from noria.registry.packages import client

    with opened(workspace, project) as ws:
        told = client.fetch(ws, reference, folder)
    if not json:
        say(f"Wrote {folder}")
    show(told, json=json, render=_verified_facts)


@packages.command("import")
def import_package(
    reference: PackageArgument,
    alias: Annotated[
        str | None, typer.Option("--alias", help="Alias to point at the version.", show_default=False)
    ] = None,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Register the version that a package holds, verified."""
    from noria.registry.commands import version_facts
    from noria.registry.entities import AliasTarget
    from noria.registry.packages.receiving import receive_package
    from noria.registry.service import Models

    with opened(workspace, project) as ws:
        version, _ = receive_package(ws, reference)
        if alias is not None:
            ws.service(Models).set_alias(
                ws.project, version.model, alias, AliasTarget(version=version.version)
            )
        found = ws.service(Models).version(ws.project, version.model, version.version)
    show(found, json=json, render=version_facts)


@packages.command("diff")
def diff(
    before: PackageArgument,
    after: PackageArgument,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Compare the contents of two packages."""
    from noria.registry.packages import client

    with opened(workspace, project) as ws:
        found = client.difference(ws, before, after)
    show(found, json=json, render=_difference)


@packages.command("lock")
def lock(
    reference: PackageArgument,
    requirements: Annotated[
        bool, typer.Option("--requirements", help="As requirements with hashes, for pip and uv.")
    ] = False,
    located: Annotated[
        bool,
        typer.Option("--located", help="With the addresses of the files in the index that is known here."),
    ] = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Print what loading a package needs, with hashes."""
    from noria.registry.packages import client
    from noria.registry.packages.lock import locate

    with opened(workspace, project) as ws:
        found, data = client.lock_of(ws, reference)
        if located and not requirements:
            data = locate(found, ws.settings.project_root)
    typer.echo(found.requirements() if requirements else data.decode(), nl=False)


@packages.command("keys")
def keys(json: JsonFlag = False, workspace: WorkspaceOption = None, project: ProjectOption = None) -> None:
    """Show the key that signs here, and those trusted."""
    from noria.registry.packages.signing import OWN, SigningKeys, key_id

    with opened(workspace, project) as ws:
        held = SigningKeys.of(ws)
        held.public()
        trusted = held.trusted()
    rows = [(name, key_id(public), public) for name, public in trusted.items()]
    listed = [{"name": name, "key_id": identity, "public": public} for name, identity, public in rows]
    show({"keys": listed}, json=json, render=lambda _: table(["name", "key", "public"], rows))
    if not json:
        say(
            "Whoever shall trust this workspace writes into `noria.toml`:\n\n"
            f'[packages.trusted_keys]\n{_key_name(ws.project)} = "{trusted[OWN]}"'
        )


def _key_name(project: str) -> str:
    import re

    return project if re.fullmatch(r"[A-Za-z0-9_-]+", project) else f'"{project}"'


def _package_facts(package: Package) -> Any:
    return facts(
        [
            ("package", package.ref),
            ("digest", package.digest),
            ("size", _size(package.size_bytes)),
            ("lock", _lock_state(package.lock_incomplete)),
            ("signed by", package.key_id),
            ("author", package.author),
            ("built", package.created_at),
        ]
    )


def _verified_facts(told: Verified) -> Any:
    version = f"@{told.version}" if told.version is not None else ""
    return facts(
        [
            ("model", f"{told.model}{version}"),
            ("digest", told.digest),
            ("signed by", f"{told.signed_by} ({told.key_id})"),
            ("format", told.format),
            ("lock", _lock_state(told.lock_incomplete)),
            ("files", f"{told.n_files}, {_size(told.size_bytes)}"),
            ("attached", [_words(kind) for kind in told.attached]),
        ]
    )


def _difference(found: PackageDifference) -> Any:
    from rich.console import Group

    if found.same:
        return f"They are the same package: {found.before}"
    parts: list[Any] = [facts([("before", found.before), ("after", found.after)])]
    if found.files:
        rows = [(each.path, _maybe(each.before), _maybe(each.after)) for each in found.files]
        parts.append(table(["file", "before", "after"], rows))
    for title, changes in (("configuration", found.config), ("distribution", found.distributions)):
        if changes:
            rows = [(name, str(old or "–"), str(new or "–")) for name, (old, new) in changes.items()]
            parts.append(table([title, "before", "after"], rows))
    return Group(*parts)


def _words(kind: str) -> str:
    from noria.registry.packages.entities import (
        BILL_TYPE,
        CARD_TYPE,
        PROVENANCE_TYPE,
        REPORT_TYPE,
        SIGNED_TYPE,
    )

    words = {
        BILL_TYPE: "bill of materials",
        CARD_TYPE: "model card",
        PROVENANCE_TYPE: "provenance",
        REPORT_TYPE: "validation report",
        SIGNED_TYPE: "signature",
    }
    return words.get(kind, kind)


def _lock_state(incomplete: str | None) -> str:
    return "complete" if incomplete is None else f"incomplete: {incomplete}"


def _maybe(size: int | None) -> str:
    return "–" if size is None else _size(size)


def _size(n_bytes: int) -> str:
    for unit in ("bytes", "kB", "MB"):
        if n_bytes < 1000:
            return f"{n_bytes:.0f} {unit}" if unit == "bytes" else f"{n_bytes:.1f} {unit}"
        n_bytes = n_bytes / 1000  # type: ignore[assignment]
    return f"{n_bytes:.1f} GB"
