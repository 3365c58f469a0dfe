"""Run a declared command in a folder of its own, and give the files that it made."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import typing
import weakref
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from noria.core.errors import Failed, Invalid

_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}|\{(\w+)\}")
_KEPT = ("PATH", "HOME", "TMPDIR", "SYSTEMROOT")
_LAST_LINES = 20
_HERE: type[Path] = type(Path())


class CommandFailed(Failed):
    """A command ended with an error, or did not make what it declares."""

    code = "command_failed"


class _MadePath(_HERE):  # type: ignore[valid-type, misc]
    """The path of a file that a command made; the command's folder is removed with the last of its paths."""

    folder: object = None

    def __repr__(self) -> str:
        return f"{_HERE.__name__}({str(self)!r})"


class _Folder:
    """The folder of a command."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="noria-command-"))
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


def names_in(word: str) -> list[str]:
    """List what `{…}` in a word of a command names.

    Examples
    --------
    >>> names_in("--from={table} {{literal}}")
    ['table']
    """
    return [found[2] for found in _PLACEHOLDER.finditer(word) if found[2]]


@functools.cache
def returned_type(name: str, outputs: tuple[str, ...]) -> Any:
    """Give the type of what a command gives: a path, a named tuple of paths, or None."""
    if len(outputs) < 2:
        return Path if outputs else None
    return typing.NamedTuple(name, [(output, Path) for output in outputs])


def run_declared(
    name: str,
    words: tuple[str, ...],
    inputs: tuple[str, ...],
    outputs: Mapping[str, str],
    files: tuple[str, ...],
    env: Mapping[str, str],
    shell: bool,
    args: tuple[Any, ...],
    named: Mapping[str, Any],
) -> Any:
    """Run a command as it was declared, and give the path of its output, the tuple of several, or None.

    Raises
    ------
    CommandFailed
        If it cannot be started, ends with an error, or leaves an output out.
    Invalid
        If an input is neither a path, a text nor a number.
    """
    folder, given = _Folder(), dict(zip(inputs, args, strict=False)) | dict(named)
    values = {one: _as_text(name, one, given[one]) for one in inputs}
    values |= {one: str(folder.path / path) for one, path in outputs.items()}
    # A plain call of the step, outside of a run, gives no files: they lie beside the module that declares it.
    beside = Path(sys._getframe(1).f_code.co_filename).parent
    sources = given.get("files") or [beside / file for file in files]
    for relative, source in zip(files, sources, strict=True):
        _lay(Path(source), folder.path / relative)
    for path in outputs.values():
        (folder.path / path).parent.mkdir(parents=True, exist_ok=True)
    line = [_filled(word, values, quoted=shell) for word in words]
    _run(name, " ".join(words), ["/bin/sh", "-c", *line] if shell else line, folder.path, env)
    made = [_made(name, folder, one, path) for one, path in outputs.items()]
    return returned_type(name, tuple(outputs))(*made) if len(made) > 1 else made[0] if made else None


def _as_text(step: str, name: str, value: Any) -> str:
    if isinstance(value, Path):
        return str(value.resolve())
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, float)):
        return str(value)
    raise Invalid(
        f"The input `{name}` of the step `{step}` is a `{type(value).__name__}`, which no command can take",
        hint="Give a path, a text or a number; a step of Python can write the value to a file and return its path",
    )


def _filled(word: str, values: Mapping[str, str], *, quoted: bool) -> str:
    def text(found: re.Match[str]) -> str:
        if found[1]:
            return f"{{{found[1]}}}"
        return shlex.quote(values[found[2]]) if quoted else values[found[2]]

    return _PLACEHOLDER.sub(text, word)


def _lay(source: Path, target: Path) -> None:
    """Copy a declared file or folder: the command may change its copy."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copy2(source, target)


def _run(name: str, declared: str, line: Sequence[str], folder: Path, env: Mapping[str, str]) -> None:
    around = {key: os.environ[key] for key in _KEPT if key in os.environ}
    last: deque[str] = deque(maxlen=_LAST_LINES)
    with _started(name, line, folder, {**around, "LANG": "C.UTF-8", **env}) as process:
        for text in process.stdout or ():
            last.append(text.rstrip("\n"))
            sys.stdout.write(text)
        code = process.wait()
    if code != 0:
        ending = f"was killed by {_signal_name(-code)}" if code < 0 else f"ended with {code}"
        said = f": {last[-1]}" if last else ""
        raise CommandFailed(
            f"The command `{declared}` {ending}{said}",
            hint=_mend(last),
            details={"command": shlex.join(line), "exit_code": code, "output": "\n".join(last)},
        )


@contextlib.contextmanager
def _started(
    name: str, line: Sequence[str], folder: Path, env: Mapping[str, str]
) -> Iterator[subprocess.Popen[str]]:
    """Start a command; at the end whatever is left of it is killed.

    It gets a group of its own, unless this process leads a session: then it is one that steps run in, and who stops
    the step kills the whole group.
    """
    apart = os.getsid(0) != os.getpid()
    try:
        process = subprocess.Popen(
            line,
            cwd=folder,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=apart,
        )
    except OSError as error:
        raise CommandFailed(
            f"The command `{line[0]}` of the step `{name}` cannot be started: {error.strerror}",
            hint=f"Install `{line[0]}`, put it on `PATH`, or add it to `files` and call it `./{Path(line[0]).name}`",
        ) from error
    try:
        yield process
    finally:
        if apart:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        if process.stdout is not None:
            process.stdout.close()
        process.wait()


def _made(name: str, folder: _Folder, output: str, relative: str) -> Path:
    path = _MadePath(folder.path / relative)
    if not path.exists():
        there = sorted(found.relative_to(folder.path).as_posix() for found in folder.path.rglob("*"))[:10]
        raise CommandFailed(
            f"The command of the step `{name}` did not write `{relative}`, its output `{output}`",
            hint=f"It left: {', '.join(there)}" if there else f"Write to `{{{output}}}`, which is its path",
        )
    path.folder = folder
    return path


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _mend(last: Sequence[str]) -> str | None:
    missing = any("No such file" in text or "cannot open" in text for text in last)
    if not missing:
        return None
    return "A command sees only what is declared: add files to `files`, or give their paths as inputs"
