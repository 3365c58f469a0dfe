"""Steps in any language: a command, the files that it takes and the files that it makes.

::

    report = shell_step(
        "report",
        ["Rscript", "report.R", "{table}", "{page}", "{alpha}"],
        inputs=["table", "alpha"],
        outputs={"page": "report.html"},
        files=["report.R"],
    )

    @pipeline
    def weekly(table: Path) -> Path:
        return report(clean(table), alpha=0.1)

The command runs in a new folder that holds the declared files and nothing else, with `PATH`, `HOME`, the declared
environment and nothing else: a file that was not declared is missing at once, instead of being read unseen. Its
result is found again while the command, its environment and the content of what it takes are as they were.
"""

from __future__ import annotations

import inspect
import sys
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from types import FunctionType
from typing import TYPE_CHECKING, Any

from noria.core.errors import Invalid, near
from noria.pipelines.authoring import Step
from noria.pipelines.commandline import names_in, returned_type, run_declared

if TYPE_CHECKING:
    from noria.pipelines.entities import Resources

_FILES = "files"


class ShellStepInvalid(Invalid):
    """A command, or what it takes or makes, cannot be declared so."""

    code = "shell_step_invalid"


def shell_step(
    name: str,
    command: Sequence[str] | str,
    *,
    inputs: Sequence[str] = (),
    outputs: Mapping[str, str] | None = None,
    files: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    shell: bool = False,
    cache: bool = True,
    retries: int = 0,
    timeout_s: float | None = None,
    resources: Resources | None = None,
) -> Step[..., Any]:
    """Make a command a step.

    Parameters
    ----------
    name
        Name of the step; assign it to a variable of the same name, by which other processes find it.
    command
        Its words, run without a shell; `{input}` and `{output}` stand for values and paths, `{{x}}` for `{x}`.
    inputs
        Parameters of the step: outputs of other steps, paths, texts and numbers.
    outputs
        Name → path of a file or folder that the command writes in its folder. The step gives its path; the named
        tuple of the paths when there are several; None when there is none.
    files
        Scripts and other files that the command reads, relative to the folder of the module that declares the step.
        They lie in the command's folder by the same relative path.
    env
        Environment variables.
    shell
        Run the command, one text, with `/bin/sh`; what stands for inputs and outputs is quoted.
    cache, retries, timeout_s, resources
        As of `noria.step`.

    Raises
    ------
    ShellStepInvalid
        If a name is none or taken twice, a path leads out of its folder, or `{…}` names nothing.
    """
    caller = sys._getframe(1)
    taken, made = tuple(inputs), dict(outputs or {})
    _check_names(name, taken, made)
    for path in (*made.values(), *files):
        _check_inside(name, path)
    words = _words(name, command, shell=shell)
    _check_placeholders(name, words, [*taken, *made])
    function = _function(name, words, taken, made, tuple(files), dict(env or {}), shell)
    function = _placed(function, name, caller.f_globals, caller.f_code.co_filename, caller.f_lineno)
    folder = Path(caller.f_code.co_filename).parent
    beside = [folder / file for file in files]
    function.__signature__ = _signature(taken, beside)  # type: ignore[attr-defined]
    function.__annotations__ = {"return": returned_type(name, tuple(made))}
    return Step(
        function, cache=cache, retries=retries, timeout_s=timeout_s, resources=resources, files=tuple(beside)
    )


def _function(
    name: str,
    words: tuple[str, ...],
    inputs: tuple[str, ...],
    outputs: dict[str, str],
    files: tuple[str, ...],
    env: dict[str, str],
    shell: bool,
) -> FunctionType:
    # What it closes over belongs to the key of the step, as of any function.
    run: Any = lambda *args, **given: run_declared(  # noqa: E731
        name, words, inputs, outputs, files, env, shell, args, given
    )
    return typing.cast("FunctionType", run)


def _placed(
    function: FunctionType, name: str, module: dict[str, Any], filename: str, line: int
) -> FunctionType:
    """Let a function stand where it was declared: errors and the step's name lead there."""
    code = function.__code__.replace(co_filename=filename, co_firstlineno=line, co_name=name)
    around = {"__name__": module.get("__name__", "__main__"), "run_declared": run_declared}
    placed = FunctionType(code, around, name, None, function.__closure__)
    placed.__qualname__ = name
    return placed


def _signature(inputs: tuple[str, ...], files: list[Path]) -> inspect.Signature:
    parameters = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in inputs]
    if files:
        parameters.append(inspect.Parameter(_FILES, inspect.Parameter.KEYWORD_ONLY, default=files))
    return inspect.Signature(parameters)


def _check_names(name: str, inputs: tuple[str, ...], outputs: dict[str, str]) -> None:
    if not name.isidentifier():
        raise ShellStepInvalid(
            f"`{name}` is no name for a step", hint="Use letters, digits and `_`, as for a variable"
        )
    seen: set[str] = set()
    for one in (*inputs, *outputs):
        if not one.isidentifier() or one.startswith("_") or one == _FILES:
            raise ShellStepInvalid(
                f"`{one}` is no name for an input or output of the step `{name}`",
                hint=f"Use letters, digits and `_`, beginning with a letter; `{_FILES}` is taken",
            )
        if one in seen:
            raise ShellStepInvalid(
                f"The step `{name}` has two inputs or outputs `{one}`", hint="Give one of them another name"
            )
        seen.add(one)


def _check_inside(name: str, path: str) -> None:
    pure = PurePosixPath(path)
    if not path or pure.is_absolute() or ".." in pure.parts:
        raise ShellStepInvalid(
            f"The path `{path}` of the step `{name}` leads out of its folder",
            hint="Write a path relative to the folder; give other files as inputs",
        )


def _words(name: str, command: Sequence[str] | str, *, shell: bool) -> tuple[str, ...]:
    import shlex

    if shell:
        if not isinstance(command, str):
            raise ShellStepInvalid(
                f"The step `{name}` runs in a shell, which takes one text",
                hint=f"Write `{' '.join(command)!r}`",
            )
        return (command,)
    if isinstance(command, str):
        raise ShellStepInvalid(
            f"The command of the step `{name}` is one text, and runs without a shell",
            hint=f"Write its words, `{shlex.split(command)}`, or `shell=True`",
        )
    if not command or not all(isinstance(word, str) for word in command):
        raise ShellStepInvalid(
            f"The command of the step `{name}` is `{command!r}`",
            hint="Write its words: `['sort', '{table}']`",
        )
    return tuple(command)


def _check_placeholders(name: str, words: tuple[str, ...], known: list[str]) -> None:
    for word in words:
        for used in names_in(word):
            if used not in known:
                close = near(used, known)
                raise ShellStepInvalid(
                    f"`{{{used}}}` in the command of the step `{name}` is no input or output of it",
                    hint=f"Did you mean `{{{close}}}`?"
                    if close
                    else f"Add it to `inputs`, or write `{{{{{used}}}}}` for the text itself",
                )
