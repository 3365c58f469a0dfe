"""Tell from the code of a pipeline's body whether a call must be over before the body goes on.

A handle behaves as the value that it stands for, with two exceptions: `is` looks at the handle itself, and an error
is caught where the step is called, not where its output is looked at. A body that does either gets its result at once.
"""

from __future__ import annotations

import bisect
import dis
import functools
import types
import typing
from types import CodeType, FrameType
from typing import Any

from noria.pipelines.authoring import Step

_OWN = "noria.pipelines."
_SINGLE = (type(None), bool)


def must_wait(step: Step[..., Any], frame: FrameType | None) -> bool:
    """Tell whether a step called from `frame` must be over when the call returns."""
    may_be_single = _may_be_single(step.returns)
    while frame is not None and frame.f_globals.get("__name__", "").startswith(_OWN):
        frame = frame.f_back
    while frame is not None and not frame.f_globals.get("__name__", "").startswith(_OWN):
        code = _looked_at(frame.f_code)
        if code.catches(frame.f_lasti) or (may_be_single and code.compares_identity):
            return True
        frame = frame.f_back
    return False


class _Code:
    """What matters in the code of a body."""

    def __init__(self, code: CodeType) -> None:
        instructions = {each.offset: each.opname for each in dis.get_instructions(code)}
        self.compares_identity = any(
            name == "IS_OP" or name.endswith("_NONE") for name in instructions.values()
        )
        entries: list[Any] = getattr(dis.Bytecode(code), "exception_entries", [])
        # The clean-up of loops written in brackets has entries too, which catch nothing.
        caught = [entry for entry in entries if instructions.get(entry.target) == "PUSH_EXC_INFO"]
        self._ranges = sorted((entry.start, entry.end) for entry in caught)

    def catches(self, offset: int) -> bool:
        """Tell whether an error raised at an instruction is caught in this code."""
        place = bisect.bisect_right(self._ranges, (offset, float("inf"))) - 1
        return place >= 0 and self._ranges[place][0] <= offset < self._ranges[place][1]


@functools.lru_cache(maxsize=1024)
def _looked_at(code: CodeType) -> _Code:
    return _Code(code)


def _may_be_single(returns: Any) -> bool:
    """Tell whether a step may return `None`, `True` or `False`, which bodies compare by identity."""
    if returns is Any or returns in _SINGLE or returns is None or returns is object:
        return True
    if typing.get_origin(returns) in (typing.Union, types.UnionType):
        return any(map(_may_be_single, typing.get_args(returns)))
    return typing.get_origin(returns) is tuple and any(map(_may_be_single, typing.get_args(returns)))
