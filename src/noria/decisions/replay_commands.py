"""`noria decide replay`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from noria.core.console.options import YesFlag
from noria.core.console.output import stderr, table

if TYPE_CHECKING:
    from noria.decisions.replay.answer import Answer
    from noria.decisions.replay.episode import Episode


def replay(
    folder: Annotated[Path, typer.Argument(help="Folder of the episode.")],
    json: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Write the answer to FILE (`-`: stdout).")
    ] = None,
    yes: YesFlag = False,
    timeout_s: Annotated[
        float, typer.Option("--timeout", help="Seconds for each call of the episode's code.", min=1.0)
    ] = 300.0,
) -> None:
    """Replay an episode: train, watch, diagnose, try remedies and act, in simulation.

    It runs the Python files of the folder as you, in a process without credentials, sockets or writes outside its
    own folder.
    """
    from noria.decisions.replay.engine import replay as run
    from noria.decisions.replay.episode import read_episode

    episode = read_episode(folder)
    _agreed(episode, yes=yes)
    answer = run(episode, environ=os.environ, timeout_s=timeout_s, progress=_progress())
    if json is None:
        _show(answer)
    else:
        _write(json, answer)


def _agreed(episode: Episode, *, yes: bool) -> None:
    code = ["pipeline.py", *(f"live/{file.path.name}" for file in episode.live)]
    stderr().print(f"Runs as you: {', '.join(code)} of {episode.folder}", soft_wrap=True)
    if not yes and sys.stdin.isatty():
        typer.confirm("Run this code?", abort=True, err=True)


def _progress() -> Any:
    if not sys.stderr.isatty():
        return None

    def tell(done: int, total: int) -> None:
        typer.echo(f"\rwindow {done} of {total}", nl=done == total, err=True)

    return tell


def _write(target: str, answer: Answer) -> None:
    import msgspec

    text = msgspec.json.format(msgspec.json.encode(answer), indent=2) + b"\n"
    if target == "-":
        sys.stdout.write(text.decode())
    else:
        Path(target).write_bytes(text)


def _show(answer: Answer) -> None:
    from noria.core.console.output import stdout

    rows = [
        (
            found.onset_window,
            found.detected_window,
            max(found.causes, key=found.causes.__getitem__).value,
            found.subject or "",
            found.remedy.value,
            found.reason,
        )
        for found in answer.incidents
    ]
    stdout().print(
        table(["onset", "detected", "cause", "subject", "remedy", "reason"], rows, title="Incidents")
    )
    stdout().print(f"Loss saved net of costs: {answer.value:.4f}")
