"""The checks in the order in which they are made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from noria.registry.validation.bench import Bench, Measured
from noria.registry.validation.port import Subject
from noria.registry.validation.suites import same, strain, types, values


@dataclass(frozen=True, slots=True)
class Planned:
    """A check: its name among the limits, its family, and what measures it."""

    name: str
    family: str
    measure: Callable[[Bench, Subject], Measured]


PLAN = (
    Planned("golden", "golden", same.golden),
    Planned("outputs", "outputs", values.outputs),
    Planned("wrong_types", "types", types.wrong_types),
    Planned("wrong_types_model", "types", types.wrong_types_model),
    Planned("extremes", "extremes", values.extremes),
    Planned("missing", "missing", values.missing),
    Planned("unseen", "unseen", values.unseen),
    Planned("permuted", "rows", same.permuted),
    Planned("duplicated", "rows", same.duplicated),
    Planned("columns", "rows", same.columns),
    Planned("one_row", "rows", same.one_row),
    Planned("many_rows", "rows", same.many_rows),
    Planned("scale", "scale", values.scale),
    Planned("scale_answers", "scale", values.scale_answers),
    Planned("constant", "constant", values.constant),
    Planned("nudges", "nudges", strain.nudges),
    Planned("slices", "slices", strain.slices),
    Planned("latency_one_ms", "speed", strain.latency_one_ms),
    Planned("latency_many_ms", "speed", strain.latency_many_ms),
    Planned("determinism", "determinism", same.determinism),
    Planned("restart", "determinism", same.restart),
    Planned("memory_growth_mb", "memory", strain.memory_growth_mb),
    Planned("memory_mb", "memory", strain.memory_mb),
    Planned("onnx_error", "onnx", strain.onnx_error),
    Planned("onnx_flips", "onnx", strain.onnx_flips),
)
