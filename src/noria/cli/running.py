"""Run one command: parse its arguments, call it, and turn whatever it raises into words and an exit code."""

from __future__ import annotations

import copy
import importlib
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any, cast

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_command_name, get_group

from noria.cli.main import EXIT_DONE, EXIT_FAILED, EXIT_MISUSED
from noria.cli.parameters import read_plainly
from noria.cli.table import Command
from noria.core.errors import Invalid, NoriaError, near

_COMPLETION = ("install_completion", "show_completion")

Program = TyperCommand | TyperGroup


class Misused(Invalid):
    """The command line cannot be read."""

    code = "misused"


class Unanswered(NoriaError):
    """A question that the command asked got no answer."""

    code = "unanswered"


class Unexpected(NoriaError):
    """Something went wrong that nobody foresaw."""

    code = "unexpected"


def run(command: Command, arguments: list[str]) -> int:
    """Run a command of the root's table and give its exit code."""
    as_json = "--json" in arguments
    try:
        program = load(command, arguments[0] if arguments else None)
        as_json = _asks_for_json(program, arguments)
        return _invoke(program, f"noria {command.name}", arguments)
    except NoriaError as error:
        return report(error, as_json=as_json)
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 - the last line of defence: a person reads a sentence, not a traceback
        if _debugging():
            traceback.print_exc()
        return report(_unexpected(error), as_json=as_json)


def ended(error: Exception, *, as_json: bool) -> int:
    """Say what a command raised that was called without Typer, and give the exit code."""
    if isinstance(error, typer.Exit):
        return error.exit_code
    if isinstance(error, (typer.Abort, EOFError)):
        error = _unanswered()
    elif isinstance(error, typer.TyperException):
        error = _misused(error)
    if isinstance(error, NoriaError):
        return report(error, as_json=as_json)
    if _debugging():
        traceback.print_exception(error)
    return report(_unexpected(error), as_json=as_json)


def load(command: Command, word: str | None = None) -> Program:
    """Import a command and give its parser, with plain help: it costs no import and reads the same everywhere.

    Parameters
    ----------
    word
        What follows the command. If that is one of its own commands, the parsers of the others are not made: those of
        all that `noria data` knows take longer to make than most of them take to run.
    """
    module, _, attribute = command.target.partition(":")
    app = getattr(importlib.import_module(module), attribute)
    only = _only(app, word)
    program = cast("Program", get_command(app) if only is None else get_group(only))
    # Typer would offer completion for a program of the name `noria data`.
    program.params = [parameter for parameter in program.params if parameter.name not in _COMPLETION]
    _plain(program)
    return program


def _only(app: typer.Typer, word: str | None) -> typer.Typer | None:
    """Give a program with one of its commands, or groups of commands, alone; None if it has none of that name."""
    commands = [each for each in app.registered_commands if word == (each.name or _usual_name(each.callback))]
    groups = [each for each in app.registered_groups if word == each.name]
    if len(commands) + len(groups) != 1 or len(app.registered_commands) + len(app.registered_groups) == 1:
        return None
    only = copy.copy(app)
    only.registered_commands, only.registered_groups = commands, groups
    return only


def _usual_name(function: Callable[..., Any] | None) -> str:
    return get_command_name(function.__name__) if function is not None else ""


def report(error: NoriaError, *, as_json: bool) -> int:
    """Say on stderr what is wrong and give the exit code that goes with it."""
    from noria.core.console.output import print_error
    from noria.core.serialisation import to_json

    if as_json:
        sys.stderr.write(to_json(error.to_body()).decode() + "\n")
    else:
        print_error(error)
    return EXIT_MISUSED if isinstance(error, Invalid) else EXIT_FAILED


def _invoke(program: Program, name: str, arguments: list[str]) -> int:
    if isinstance(program, TyperGroup):
        if not arguments:
            _invoke(program, name, ["--help"])
            return EXIT_MISUSED
        _check_commands(program, name, arguments)
    try:
        with program.make_context(name, list(arguments)) as context:
            program.invoke(context)
    except typer.Exit as end:
        return end.exit_code
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except (typer.Abort, EOFError) as error:
        raise _unanswered() from error
    except typer.TyperException as error:
        raise _misused(error) from error
    return EXIT_DONE


def _check_commands(program: TyperGroup, name: str, arguments: list[str]) -> None:
    """Refuse a word that names no command, however deep in the line it stands, with the near ones and all there are."""
    group: Any = program
    for word in arguments:
        if not isinstance(group, TyperGroup) or word.startswith("-") or hasattr(group, "default_command"):
            return
        if word not in group.commands:
            raise _no_command(group, name, word)
        group, name = group.commands[word], f"{name} {word}"


def _no_command(group: TyperGroup, name: str, word: str) -> Misused:
    known = [each for each, command in group.commands.items() if not command.hidden]
    close = near(word, known)
    listed = ", ".join(f"`{each}`" for each in known)
    meant = f"Did you mean `{name} {close}`? " if close else ""
    return Misused(f"`{name}` has no command `{word}`", hint=f"{meant}It has {listed}; see `{name} --help`")


def _unanswered() -> Unanswered:
    return Unanswered("The question was not answered, and nothing was done", hint="Say `--yes`")


def _misused(error: Any) -> Misused:
    """Put what Typer says about a wrong command line into this house's form."""
    message = " ".join(error.format_message().split()).rstrip(".")
    context = getattr(error, "ctx", None)
    if context is None:
        return Misused(message)
    path = context.command_path
    hint = f"See `{path} --help`"
    if hasattr(error, "possibilities"):  # only the error for an unknown option has this
        message = f"`{path}` has no option `{error.option_name}`"
        close = near(error.option_name, [name for known in context.command.params for name in known.opts])
        hint = f"Did you mean `{close}`?" if close else hint
    return Misused(message, hint=hint)


def _unexpected(error: Exception) -> Unexpected:
    said = " ".join(str(error).split())
    return Unexpected(
        f"{type(error).__name__}: {said}" if said else type(error).__name__,
        hint="This should not happen; repeat the command with `NORIA_DEBUG=1` to see where it comes from",
        details={"type": type(error).__name__},
    )


def _debugging() -> bool:
    return os.environ.get("NORIA_DEBUG", "0") not in ("", "0")


def _asks_for_json(program: Program, arguments: list[str]) -> bool:
    """Tell whether `--json` is said and is a flag of the command that is named (`noria demo` writes a file by it)."""
    command: Any = program
    while isinstance(command, TyperGroup):
        named = [word for word in arguments if word in command.commands]
        if not named:
            return "--json" in arguments
        command = command.commands[named[0]]
    flags = [
        name
        for parameter in command.params
        if getattr(parameter, "is_flag", False)
        for name in parameter.opts
    ]
    return "--json" in arguments and "--json" in flags


def _plain(program: Any) -> None:
    program.rich_markup_mode = None
    read_plainly(program)
    for inner in getattr(program, "commands", {}).values():
        _plain(inner)
