"""Entry point of `noria`.

`--version` and `--help` answer from static text; a command's module is imported only when the command is named.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys

from noria._version import __version__
from noria.cli.table import ALIASES, COMMANDS, NOUNS, Command

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_MISUSED = 2
EXIT_INTERRUPTED = 130  # 128 and the number of SIGINT, as shells have it
_PROGRAM = "noria"


def main(arguments: list[str] | None = None) -> int:
    """Run a command and give its exit code: 0 done, 1 failed, 2 misused, 130 interrupted."""
    # Imports make hundreds of thousands of objects that stay; to look through them for garbage again and again would
    # take a tenth of a command's time.
    gc.set_threshold(200_000, 20, 50)
    if arguments is not None:
        return _answered(arguments)
    if os.path.basename(sys.argv[0]) != _PROGRAM:  # noqa: PTH119 - `pathlib` is not imported for it
        return _answered(sys.argv[1:])  # somebody's program, which goes on
    ending = _Ending()
    atexit.register(ending)
    ending.code = _answered(sys.argv[1:], ends=True)
    return ending.code


class _Ending:
    """Ends the process of a command, once all else that waits for its end has been done.

    Python would take all modules and objects apart first, one by one, which takes a twentieth of a command's time. Who
    registered first is called last, after threads have ended and files of logs are closed; a command that did not come
    to its end goes the usual way.
    """

    def __init__(self) -> None:
        self.code: int | None = None

    def __call__(self) -> None:
        gc.freeze()
        if self.code is None:
            return
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):
                return
        os._exit(self.code)


def _answered(args: list[str], *, ends: bool = False) -> int:
    try:
        code = _main(args, ends=ends)
        # While we can still answer for it: what is left in the buffer would meet a closed pipe at exit.
        sys.stdout.flush()
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        return _reader_left()
    return code


def _main(args: list[str], *, ends: bool) -> int:
    """Run a command; `ends` if this process does nothing else afterwards."""
    if not args or args[0] in ("--help", "-h", "help"):
        sys.stdout.write(root_help())
        return EXIT_DONE
    if args[0] in ("--version", "-V"):
        sys.stdout.write(f"noria {__version__}\n")
        return EXIT_DONE
    command = find(args[0])
    if command is None:
        return _unknown(args)
    from noria.cli.lean_imports import import_leanly

    import_leanly()
    if ends:
        from noria.cli.lean_commands import run_leanly

        code = run_leanly([command.name, *args[1:]])
        if code is not None:
            return code
    from noria.cli.running import run

    return run(command, args[1:])


def find(name: str) -> Command | None:
    """Look a command up by name or alias."""
    wanted = ALIASES.get(name, name)
    return next((command for command in (*COMMANDS, *NOUNS) if command.name == wanted), None)


def root_help() -> str:
    """Lay out the help of the root."""
    lines = ["Usage: noria COMMAND [ARGS]…", ""]
    lines += ["Keep machine-learning models turning,"]
    lines += ["from data to a monitored model that renews itself.", ""]
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


def _unknown(args: list[str]) -> int:
    from noria.cli.running import Misused, report
    from noria.core.errors import near

    name = args[0]
    hint = "See `noria --help`"
    if name.startswith("-"):
        error = Misused(f"There is no option `{name}`", hint=hint)
    else:
        close = near(name, [command.name for command in (*COMMANDS, *NOUNS)])
        error = Misused(
            f"There is no command `{name}`", hint=f"Did you mean `noria {close}`?" if close else hint
        )
    return report(error, as_json="--json" in args)


def _reader_left() -> int:
    # `noria runs list | head`: the reader has seen enough, which is no failure. Python would complain at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(main())
