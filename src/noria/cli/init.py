"""`noria init`."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from noria.core.config import CONFIG_FILE, WORKSPACE_FOLDER
from noria.core.console.options import JsonFlag

if TYPE_CHECKING:
    from collections.abc import Iterator

app = typer.Typer(add_completion=False)

TEMPLATE = """\
# Settings of Noria for this folder. Everything has a default; a key that Noria does not know is an error.

# [project]
# name = "default"           # project that commands and the SDK work in

# [workspace]
# url = ".noria"             # folder, or the `http(s)://` address of a server

# [monitors]
# window_rows = 200          # captured rows in a drift window
"""


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Folder of your project.", show_default="this one")] = Path(),
    json: JsonFlag = False,
) -> None:
    """Make a workspace and a project file in this folder."""
    from noria.core.console.output import print_json, say

    root = folder.resolve()
    workspace, config = root / WORKSPACE_FOLDER, root / CONFIG_FILE
    with _config_file(config), _removed_on_failure(workspace):
        _make_workspace(root, workspace)
    if json:
        print_json({"folder": str(root), "workspace": str(workspace), "config": str(config)})
    else:
        say(f"Made `{WORKSPACE_FOLDER}/` and `{CONFIG_FILE}` in {root}")
        _warn_of_another_workspace()


def _make_workspace(root: Path, workspace: Path) -> None:
    from noria.core.clock import SystemClock
    from noria.core.config import load_settings
    from noria.core.workspace import open_context

    open_context(load_settings(workspace=str(workspace), folder=root), SystemClock()).database.dispose()
    # The key and the database are nobody else's: they stay out of the project's repository.
    (workspace / ".gitignore").write_text("*\n", encoding="utf-8")


@contextmanager
def _config_file(path: Path) -> Iterator[None]:
    """Write the project file first, which only one of two commands can, and take it back if the rest fails."""
    from noria.core.errors import Conflict, Invalid

    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(TEMPLATE)
    except FileExistsError as error:
        raise Conflict(f"There is a `{path}` already", hint="Edit it, or name another folder") from error
    except OSError as error:
        raise Invalid(
            f"`{path}` cannot be written: {error.strerror}", hint="Name a folder that you may write to"
        ) from error
    try:
        yield
    except BaseException:
        path.unlink()
        raise


@contextmanager
def _removed_on_failure(workspace: Path) -> Iterator[None]:
    was_there = workspace.exists()
    try:
        yield
    except BaseException:
        if not was_there:
            shutil.rmtree(workspace, ignore_errors=True)
        raise


def _warn_of_another_workspace() -> None:
    import os

    from noria.core.console.output import say

    other = os.environ.get("NORIA_WORKSPACE")
    if other:
        say(f"`NORIA_WORKSPACE` is set: commands work in `{other}`, not in this folder's workspace")
