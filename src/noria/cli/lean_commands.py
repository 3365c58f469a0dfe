"""Run the commands that are typed most without the library that reads command lines.

To import Typer takes longer than all that `noria data status` does. So what these commands take stands here once more,
in a table that a test compares with what Typer makes of them. A line that says anything else than what is in the table,
in the plainest way, is read by Typer: help, shortened or joined options, mistakes.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from noria.cli.lean_imports import StandIn

_TYPER: Final = "typer"


class LeanCommand(NamedTuple):
    """What a command takes.

    Attributes
    ----------
    target
        Its function, `module:name`.
    arguments
        Parameters by their order.
    options
        Option → parameter, of those that take a text.
    flags
        Option → parameter and what it is set to.
    n_required
        How many arguments there must be.
    paths
        Parameters that are paths.
    takes_rest
        Whether the last argument takes all that are left, as a list.
    """

    target: str
    arguments: Sequence[str]
    options: Mapping[str, str]
    flags: Mapping[str, tuple[str, bool]]
    n_required: int = 0
    paths: frozenset[str] = frozenset()
    takes_rest: bool = False


_JSON: Final = {"--json": ("json", True)}
_WORKSPACE: Final = {"--workspace": "workspace", "-w": "workspace"}
_USUAL: Final = {**_WORKSPACE, "--project": "project"}
_REMOTE: Final = {"--remote": "remote_name", "-r": "remote_name"}
_TREES: Final = "noria.data.trees.commands"
_REMOTES: Final = "noria.data.remotes.commands"

COMMANDS: Final[Mapping[tuple[str, str], LeanCommand]] = {
    ("data", "add"): LeanCommand(
        f"{_TREES}:add",
        ["path"],
        {**_USUAL, "--name": "name", "--message": "message", "-m": "message"},
        {**_JSON, "--pointer": ("pointer", True), "--no-pointer": ("pointer", False)},
        n_required=1,
        paths=frozenset({"path"}),
    ),
    ("data", "status"): LeanCommand(
        f"{_TREES}:status",
        ["path"],
        _WORKSPACE,
        {**_JSON, "--check": ("check", True)},
        paths=frozenset({"path"}),
    ),
    ("data", "checkout"): LeanCommand(
        f"{_TREES}:checkout",
        ["ref", "target"],
        _USUAL,
        {**_JSON, "--overwrite": ("overwrite", True)},
        paths=frozenset({"target"}),
    ),
    ("data", "push"): LeanCommand(
        f"{_REMOTES}:push",
        ["refs"],
        {**_USUAL, **_REMOTE},
        {**_JSON, "--prune-tags": ("prune_tags", True)},
        takes_rest=True,
    ),
    ("data", "pull"): LeanCommand(
        f"{_REMOTES}:pull",
        ["refs"],
        {**_USUAL, **_REMOTE, "--as": "as_name"},
        {**_JSON, "--list": ("only_list", True)},
        takes_rest=True,
    ),
}


def run_leanly(words: Sequence[str]) -> int | None:
    """Run a command of a process of its own, and give its exit code; None, with nothing done, if Typer is to read it.

    The modules of the command then know none of its options any more: nothing else may be asked of this process.
    """
    command = COMMANDS.get((words[0], words[1])) if len(words) > 1 else None
    values = None if command is None else read_values(command, words[2:])
    if command is None or values is None:
        return None
    try:
        _function(command)(**values)
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 - as every command's
        from noria.cli.running import ended

        return ended(error, as_json=bool(values.get("json")))
    return 0


def read_values(command: LeanCommand, words: Sequence[str]) -> dict[str, Any] | None:
    """Give the values of a command's parameters; None if a word is not plainly one of them."""
    values: dict[str, Any] = {}
    given: list[str] = []
    rest = iter(words)
    for word in rest:
        if not word.startswith("-"):
            given.append(word)
            continue
        value: str | bool
        if word in command.flags:
            name, value = command.flags[word]
        elif word in command.options:
            name, value = command.options[word], next(rest, "-")
        else:
            return None
        if name in values or (isinstance(value, str) and value.startswith("-")):
            return None
        values[name] = value
    if "" in given or len(given) < command.n_required:
        return None
    if command.takes_rest:
        given = [given] if given else []  # type: ignore[list-item]  # a list is its one value
    if len(given) > len(command.arguments):
        return None
    values |= zip(command.arguments, given, strict=False)
    return {name: Path(value) if name in command.paths else value for name, value in values.items()}


class _Program:
    """Stands for a program of Typer that nobody asks."""

    def __init__(self, **_: Any) -> None:
        pass

    def command(self, _: str) -> Callable[[Any], Any]:
        return lambda function: function


class _Typer(StandIn):
    """Stands for Typer while commands are imported whose line was read; what they ask of it later is its own."""

    Typer = _Program

    @staticmethod
    def Option(*_: Any, **__: Any) -> None:  # noqa: N802 - its name
        """Describe nothing."""

    Argument = Option


def _function(command: LeanCommand) -> Callable[..., None]:
    module, _, name = command.target.partition(":")
    sys.modules[_TYPER] = _Typer(_TYPER)
    try:
        found: Callable[..., None] = getattr(importlib.import_module(module), name)
    finally:
        del sys.modules[_TYPER]
    return found
