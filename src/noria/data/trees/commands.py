"""The commands of `noria data` that add, compare and check out files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from noria.core.config import load_settings
from noria.core.console.options import JsonFlag, ProjectOption, WorkspaceOption, YesFlag, opened
from noria.core.console.output import say

if TYPE_CHECKING:
    from noria.core.config import Settings
    from noria.core.workspace import Workspace
    from noria.data.entities import DatasetVersion
    from noria.data.trees.changes import Changes
    from noria.data.trees.status import Standing

_OverwriteFlag = Annotated[
    bool, typer.Option("--overwrite", help="Replace files that are in the way or were changed.")
]


def register(data: typer.Typer) -> None:
    """Put the commands into the group `noria data`."""
    for command in (add, status, diff, checkout, tag, rm):
        data.command(command.__name__)(command)
    data.command("export")(export)
    data.command("import")(import_)


def add(
    path: Annotated[Path, typer.Argument(help="File or folder; `.npy` and `.npz` are stored as arrays.")],
    name: Annotated[
        str | None,
        typer.Option(
            "--name",
            help="Dataset to add a version to; made at first use. The last part of PATH when left out.",
            show_default=False,
        ),
    ] = None,
    message: Annotated[str, typer.Option("--message", "-m", help="What changed.")] = "",
    pointer: Annotated[
        bool | None,
        typer.Option(
            "--pointer/--no-pointer",
            help="Write PATH.noria, a small file for git that names the version; by default where git is used.",
            show_default=False,
        ),
    ] = None,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Store a file or folder as the next version of a dataset."""
    from noria.core.console.output import print_json
    from noria.core.console.progress import counting_bytes
    from noria.data.trees.here import add_here, store_here

    settings = load_settings(workspace=workspace, project=project)
    chosen = name or _usual_name(settings, path)
    stored = store_here(settings, path)
    found = None if stored is None else add_here(settings, chosen, stored, message=message)
    if found is not None:
        added, is_new = found
    else:
        from noria.data.client import dataset

        with opened(workspace, project) as ws:
            before = _latest(ws, chosen)
            with counting_bytes("Storing") as progress:
                added = dataset(chosen, workspace=ws).add(
                    path, message=message, progress=progress, stored=stored
                )
        is_new = added.version != before
    _point(path, added, wanted=pointer)
    if json:
        print_json(added)
        return
    sys.stdout.write(version_lines(added))
    if not is_new:
        say(f"Nothing changed since {added.ref}")


def status(
    path: Annotated[
        Path | None, typer.Argument(help="One of them; all at and below this folder when left out.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Exit with 1 if one is not clean.")] = False,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Tell which files changed since they were added or checked out."""
    from noria.core.console.output import print_json
    from noria.data.trees.stat_index import StatIndex
    from noria.data.trees.status import CLEAN, standing, standings

    index = StatIndex.of(load_settings(workspace=workspace))
    found = standings(index, Path()) if path is None else [standing(index, path)]
    if json:
        print_json(found)
    else:
        for each in found:
            sys.stdout.write(_standing_lines(each))
        if not found:
            say("Nothing below this folder was added or checked out; see `noria data add --help`")
    if check and any(each.state != CLEAN for each in found):
        raise typer.Exit(1)


def diff(
    ref: Annotated[
        str, typer.Argument(metavar="REF|PATH", help="`name@version`, or a file or folder that was added.")
    ],
    other: Annotated[
        str | None, typer.Argument(metavar="REF", help="The version to compare with.", show_default=False)
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(
            "--key",
            metavar="COLUMN[,COLUMN]",
            help="Columns that name a row of a table; '' compares whole rows. A likely key when left out.",
            show_default=False,
        ),
    ] = None,
    file: Annotated[
        str | None,
        typer.Option("--file", metavar="PATH", help="The table among several files.", show_default=False),
    ] = None,
    files_only: Annotated[
        bool, typer.Option("--files-only", help="Do not look into tables: tell files alone.")
    ] = False,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Tell what differs between two versions, or between a path and the version it was made of.

    Of two tables: columns, rows by key with their cells, and how far each distribution moved. Of anything else: files.
    """
    from noria.core.console.output import print_json
    from noria.data.looking_commands import print_table_diff, table_diff
    from noria.data.trees.changes import changes_of
    from noria.data.trees.comparing import compare_pair, find_pair
    from noria.data.trees.stat_index import StatIndex

    table = None
    if other is None and Path(ref).exists():
        from noria.data.trees.status import standing

        index = StatIndex.of(load_settings(workspace=workspace))
        standing(index, Path(ref))
        changes = changes_of(index, Path(ref))
    else:
        with opened(workspace, project) as ws:
            pair = find_pair(ws, ref, other)
            changes = compare_pair(ws, *pair)
            if changes and not files_only:
                columns = None if key is None else [name for name in key.split(",") if name]
                table = table_diff(ws, *pair, key=columns, file=file)
    if json:
        sides = {"added": changes.added, "changed": changes.changed, "removed": changes.removed}
        print_json({**sides, "table": table})
        return
    sys.stdout.write(change_lines(changes) or "No file differs\n")
    if table is not None:
        sys.stdout.flush()
        print_table_diff(table)


def checkout(
    ref: Annotated[
        str | None,
        typer.Argument(
            help="`name`, `name@version` or `name@tag`, or a pointer; all pointers here when left out.",
            show_default=False,
        ),
    ] = None,
    target: Annotated[
        Path | None,
        typer.Argument(
            help="Folder to write to; one of the dataset's name when left out.", show_default=False
        ),
    ] = None,
    overwrite: _OverwriteFlag = False,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Make files and folders equal to versions: to the one that is named, or to those that pointers name."""
    from noria.core.console.output import print_json
    from noria.core.console.progress import counting_bytes
    from noria.data.trees.following import Source, checkout_helper, plan_checkouts, run_checkout

    done = []
    settings = load_settings(workspace=workspace, project=project)
    with checkout_helper(settings) as helper, Source(settings) as source:
        for plan in plan_checkouts(source, ref, target):
            with counting_bytes(
                f"Writing {plan.version.ref}", total_bytes=plan.version.size_bytes
            ) as progress:
                changes = run_checkout(source, plan, overwrite=overwrite, progress=progress, helper=helper)
            done.append((plan, changes))
    if json:
        items = [_checked_out(plan.version, plan.target) for plan, _ in done]
        print_json(items[0] if ref is not None else items)
        return
    for plan, changes in done:
        n_files = len(changes.added) + len(changes.changed)
        say(f"Wrote {n_files} files of {plan.version.ref} to {plan.target}" + _removed(changes))


def tag(
    ref: Annotated[str, typer.Argument(help="`name@version`; `name` means its newest version.")],
    name: Annotated[str, typer.Argument(metavar="TAG", help="Word that is to name it: `name@TAG`.")],
    delete: Annotated[bool, typer.Option("--delete", help="Take the tag away instead.")] = False,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Name a version by a word; one that named another version names that no longer."""
    from noria.core.console.output import print_json
    from noria.core.names import split_ref
    from noria.data.entities import TaggedVersion
    from noria.data.service import Datasets
    from noria.data.tags import DatasetTags

    with opened(workspace, project) as ws:
        tags, dataset = ws.service(DatasetTags), split_ref(ref)[0]
        if delete:
            tags.delete(ws.project, dataset, name)
            say(f"{dataset}@{name} names nothing any more")
            return
        version = ws.service(Datasets).resolve(ws.project, ref)
        made = tags.set(ws.project, dataset, name, TaggedVersion(version=version.version))
    if json:
        print_json(made)
    else:
        say(f"{dataset}@{name} is {version.ref}")


def rm(
    ref: Annotated[
        str, typer.Argument(metavar="NAME[@VERSION]", help="A version, or a dataset with all of them.")
    ],
    yes: YesFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Remove a version, or a dataset with all of its versions; `noria objects gc` frees the space."""
    from noria.core.names import split_ref
    from noria.data.service import Datasets

    name, selector = split_ref(ref)
    with opened(workspace, project) as ws:
        datasets = ws.service(Datasets)
        if selector is None:
            found = datasets.get(ws.project, name)
            what = f"all versions of {name}, up to {found.latest}"
        else:
            version = datasets.resolve(ws.project, ref)
            what = version.ref
        if not yes:
            typer.confirm(f"Remove {what}?", abort=True, err=True)
        if selector is None:
            datasets.remove(ws.project, name)
        else:
            datasets.remove_version(ws.project, name, version.version)
    say(f"Removed {what}; `noria objects gc` frees what nothing else needs")


def export(
    ref: Annotated[str, typer.Argument(help="`name`, `name@version` or `name@tag`.")],
    archive: Annotated[Path, typer.Argument(help="File to write: `.tar`, `.tar.gz` or `.zip`.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file of this name.")] = False,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Write the files of a version into an archive."""
    from noria.core.console.output import print_json
    from noria.core.console.progress import counting_bytes
    from noria.data.service import Datasets
    from noria.data.trees.archives import export_version
    from noria.data.trees.words import count, size

    with opened(workspace, project) as ws:
        version = ws.service(Datasets).resolve(ws.project, ref)
        with counting_bytes("Writing", total_bytes=version.size_bytes) as progress:
            export_version(ws.objects(), version, archive, overwrite=overwrite, progress=progress)
    if json:
        print_json(_checked_out(version, archive))
    else:
        say(
            f"Wrote {count(version.n_files, 'file')} ({size(version.size_bytes)}) of {version.ref} to {archive}"
        )


def import_(
    source: Annotated[
        str,
        typer.Argument(
            metavar="ARCHIVE|FOLDER|URL", help="`.tar`, `.tar.gz`, `.zip`, a folder or an address."
        ),
    ],
    name: Annotated[
        str | None,
        typer.Option("--name", help="Dataset; after the source when left out.", show_default=False),
    ] = None,
    message: Annotated[str, typer.Option("--message", "-m", help="What changed.")] = "",
    sha256: Annotated[
        str | None,
        typer.Option(
            "--sha256", metavar="HEX", help="What the archive or the file must have.", show_default=False
        ),
    ] = None,
    unpack: Annotated[bool, typer.Option("--unpack/--no-unpack", help="Take archives apart.")] = True,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Store an archive, a folder or what lies at an address as the next version of a dataset."""
    from noria.core.console.output import print_json
    from noria.core.console.progress import counting_bytes
    from noria.data.trees.importing import import_source

    with opened(workspace, project) as ws, counting_bytes("Storing") as progress:
        added = import_source(
            ws, source, name=name, message=message, sha256=sha256, unpack=unpack, progress=progress
        )
    if json:
        print_json(added)
    else:
        sys.stdout.write(version_lines(added))


def version_lines(version: DatasetVersion) -> str:
    """Give what is said of a version, without the library that lays out tables: it takes longer than to add one."""
    from noria.core.console.output import cell

    pairs = [
        ("dataset", version.ref),
        ("digest", version.digest),
        ("kind", version.kind),
        ("rows", version.n_rows),
        ("files", version.n_files),
        ("bytes", version.size_bytes),
        ("author", version.author),
        ("message", version.message),
        ("created", version.created_at),
    ]
    return "".join(f"{name:<7}  {cell(value)}\n" for name, value in pairs)


def change_lines(changes: Changes) -> str:
    """Give a line for each path that differs."""
    from noria.data.trees.words import path_lines

    lines = [
        *path_lines("+", changes.added),
        *path_lines("~", changes.changed),
        *path_lines("-", changes.removed),
    ]
    return "".join(f"{line}\n" for line in lines)


def _standing_lines(each: Standing) -> str:
    from noria.data.trees.words import visible

    names = each.ref or each.pointer
    is_other = each.ref is not None and each.pointer not in {None, each.ref}
    behind = f", and its pointer names {each.pointer}" if is_other else ""
    hint = {
        "missing": f" (`noria data checkout {each.pointer or each.ref}` brings it)",
        "behind": " (`noria data checkout` brings that)",
        "unknown": f" (was {each.pointer} added elsewhere? `noria data checkout` compares it)",
    }.get(each.state, "")
    if each.state == "unknown":
        return f"{visible(each.path)}: unknown{hint}\n"
    return f"{visible(each.path)}: {each.state}, {names}{behind}{hint}\n{change_lines(each.changes)}"


def _usual_name(settings: Settings, path: Path) -> str:
    """Give the dataset that a path was added to before, else the last part of the path."""
    from noria.data.trees.changes import absolute
    from noria.data.trees.pointers import pointer_path, read_pointer
    from noria.data.trees.stat_index import StatIndex

    beside = pointer_path(path.absolute())
    if beside.exists():
        return read_pointer(beside).name
    place = StatIndex.of(settings).place(absolute(path))
    return place.name if place else Path(absolute(path)).name


def _latest(ws: Workspace, name: str) -> int:
    from noria.core.errors import NotFound
    from noria.data.service import Datasets

    try:
        return ws.service(Datasets).get(ws.project, name).latest
    except NotFound:
        return 0


def _point(path: Path, added: DatasetVersion, *, wanted: bool | None) -> None:
    from noria.data.trees.pointers import Pointer, in_git, leave_out_of_git, write_pointer

    place = path.absolute()
    if wanted is False or (wanted is None and not in_git(place.parent)):
        return
    if added.kind != "files":
        say(
            f"`{path}` is stored as arrays, which no pointer names; `noria data checkout {added.ref}` brings them"
        )
        return
    pointer = Pointer(
        name=added.name,
        version=added.version,
        digest=added.digest,
        kind="folder" if place.is_dir() else "file",
        size_bytes=added.size_bytes,
        n_files=added.n_files,
    )
    written = write_pointer(place, pointer)
    files = f"{written.name} .gitignore" if leave_out_of_git(place) else written.name
    if in_git(place.parent):
        say(f"Commit the pointer: git add {files}")


def _checked_out(version: DatasetVersion, target: Path) -> dict[str, Any]:
    return {"ref": version.ref, "digest": version.digest, "target": str(target)}


def _removed(changes: Changes) -> str:
    return f", and removed {len(changes.removed)}" if changes.removed else ""
