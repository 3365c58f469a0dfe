"""Entry point of `noria`.

`--version` and `--help` answer from static text; a command's module is imported only when the command is named.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from noria._version import __version__
from noria.cli.table import ALIASES, COMMANDS, NOUNS, Command

if TYPE_CHECKING:
    from noria.core.errors import NoriaError

EXIT_FAILED = 1
EXIT_MISUSED = 2


def main(arguments: list[str] | None = None) -> int:
    """Run a command and give its exit code: 0 done, 1 failed, 2 misused."""
    args = sys.argv[1:] if arguments is None else arguments
    if not args or args[0] in ("--help", "-h", "help"):
        sys.stdout.write(root_help())
        return 0
    if args[0] in ("--version", "-V"):
        sys.stdout.write(f"noria {__version__}\n")
        return 0
    command = find(args[0])
    if command is None:
        return _unknown(args[0])
    return _run(command, args[1:])


def find(name: str) -> Command | None:
    """Look a command up by name or alias."""
    wanted = ALIASES.get(name, name)
    return next((command for command in (*COMMANDS, *NOUNS) if command.name == wanted), None)


def root_help() -> str:
    """Lay out the help of the root."""
    lines = ["Usage: noria COMMAND [ARGS]…", ""]
    lines += ["Keep machine-learning models turning, from data to a monitored model that renews itself.", ""]
    width = max(len(command.name) for command in (*COMMANDS, *NOUNS)) + 2
    lines += ["Commands:", *(f"  {c.name:<{width}}{c.help}" for c in COMMANDS), ""]
    lines += ["Things:", *(f"  {c.name:<{width}}{c.help}" for c in NOUNS), ""]
    lines += [
        "Options:",
        f"  {'--version':<{width}}Print the version",
        f"  {'--help':<{width}}Print this help",
        "",
    ]
    lines += ["See `noria COMMAND --help` for each.", ""]
    return "\n".join(lines)


def _unknown(name: str) -> int:
    from noria.core.errors import near

    if name.startswith("-"):
        sys.stderr.write(f"error: There is no option `{name}`\n\nhint: See `noria --help`\n")
        return EXIT_MISUSED
    close = near(name, [command.name for command in (*COMMANDS, *NOUNS)])
    hint = f"Did you mean `noria {close}`?" if close else "See `noria --help`"
    sys.stderr.write(f"error: There is no command `{name}`\n\nhint: {hint}\n")
    return EXIT_MISUSED


def _run(command: Command, arguments: list[str]) -> int:
    import importlib

    import typer

    from noria.core.errors import NoriaError

    module, _, attribute = command.target.partition(":")
    app = getattr(importlib.import_module(module), attribute)
    program = typer.main.get_command(app)
    try:
        program.main(args=arguments, prog_name=f"noria {command.name}")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except NoriaError as error:
        return _failed(error, as_json="--json" in arguments)
    except BrokenPipeError:
        return _reader_left()
    return 0


def _failed(error: NoriaError, *, as_json: bool) -> int:
    from noria.core.console.output import print_error
    from noria.core.errors import Invalid
    from noria.core.serialisation import to_json

    if as_json:
        sys.stderr.write(to_json(error.to_body()).decode() + "\n")
    else:
        print_error(error)
    return EXIT_MISUSED if isinstance(error, Invalid) else EXIT_FAILED


def _reader_left() -> int:
    # `noria runs list | head`: the reader has seen enough, which is no failure. Python would complain at exit.
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


if __name__ == "__main__":
    sys.exit(main())
