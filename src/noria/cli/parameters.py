"""What is given on the command line as text, a path or a whole number, without the library that checks other types.

Typer reads every value through pydantic, whose import alone takes as long as all else that `noria data status` does.
Values of other types still go through it, and so do those that it has to refuse.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from typer._click.decorators import help_option
from typer._coercion import RuntimeParam, TypeDescriptor, build_runtime_param

_HELP = ["--help"]


def read_plainly(command: Any) -> None:
    """Have the parameters of a command, and its `--help`, read their values by `Plain`."""
    if command._help_option is None:
        help_option(_HELP)(command)
        command._help_option = command.params.pop()
    for parameter in [*command.params, command._help_option]:
        if hasattr(parameter, "type_descriptor"):
            parameter._runtime_param = Plain(parameter.type_descriptor)


class Plain(RuntimeParam):
    """Gives text, paths and whole numbers as they are, and leaves everything else to Typer."""

    def __init__(self, descriptor: TypeDescriptor) -> None:
        super().__init__(descriptor.parameter_info, descriptor.annotation)
        object.__setattr__(self, "_descriptor", descriptor)

    def _coerce_value(self, value: Any, param: Any, ctx: Any) -> Any:
        annotation, info = self.annotation, self.parameter_info
        if annotation is str and isinstance(value, str) and info.parser is None:
            return value
        if annotation == list[str] and isinstance(value, (list, tuple)) and info.parser is None:
            return list(value)
        if annotation is int and info.parser is None and _is_whole(value, info):
            return int(value)
        is_free = not (info.exists or info.resolve_path or info.allow_dash or info.path_type)
        if annotation is Path and isinstance(value, (str, Path)) and is_free:
            return Path(value)
        descriptor: TypeDescriptor = self._descriptor  # type: ignore[attr-defined]
        return build_runtime_param(descriptor)._coerce_value(value, param=param, ctx=ctx)


def _is_whole(value: Any, info: Any) -> bool:
    """Tell whether a text, or what is taken where nothing is given, is a whole number within its bounds."""
    if isinstance(value, str):
        if not (value.isascii() and value.isdigit() and len(value) < _DIGITS):
            return False
    elif type(value) is not int:
        return False
    number = int(value)
    return (info.min is None or info.min <= number) and (info.max is None or number <= info.max)


_DIGITS = 19
