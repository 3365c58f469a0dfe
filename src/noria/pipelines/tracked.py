"""The tracked run of a pipeline, which notes what is logged while a step runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec

from noria.core import lineage
from noria.core.workspace import Workspace
from noria.pipelines.cache_entities import CacheEntry
from noria.pipelines.executors.attempt import Made
from noria.pipelines.recording import StepNotes
from noria.tracking.client import ActiveRun
from noria.tracking.entities import Run
from noria.tracking.settings import NOTHING, TrackingSection
from noria.tracking.values import as_float, as_text


class PipelineActiveRun(ActiveRun):
    """The run of a pipeline; notes what is logged while a step runs."""

    def __init__(self, workspace: Workspace, run: Run, *, counts: Mapping[str, int] | None = None) -> None:
        super().__init__(workspace, run, steps=counts)
        self._notes: StepNotes | None = None

    def capture_console(self) -> None:
        """Keep what the body and the steps write, unless `[tracking]` says not to."""
        wanted = self.workspace.settings.section("tracking", TrackingSection).capture.console
        if wanted:
            self.capture(msgspec.structs.replace(NOTHING, console=True))

    @contextmanager
    def noting(self) -> Iterator[StepNotes]:
        """Note what is told inside the block."""
        notes = StepNotes(self)
        self._notes = notes
        tokens = (lineage.recorder.set(notes), lineage.follower.set(notes.follow))
        try:
            yield notes
        finally:
            lineage.recorder.reset(tokens[0])
            lineage.follower.reset(tokens[1])
            self._notes = None

    def repeat(self, entry: CacheEntry | Made) -> None:
        """Tell again what a step told that is reused, or that ran in another process."""
        for link in entry.inputs:
            self.record_input(link.ref, link.digest)
        for link in entry.made:
            self.record_output(link.ref, link.digest)
        for key, text, step in entry.logged.metrics:
            self.log({key: float(text)}, step=None if step < 0 else step)
        self.params(entry.logged.params)
        for key, tag in entry.logged.tags.items():
            self.tag(key, tag)

    def log(self, metrics: Mapping[str, Any], *, step: int | None = None) -> None:
        """Log values of metrics."""
        super().log(metrics, step=step)
        if self._notes is not None:
            counted = -1 if step is None else step
            self._notes.metrics += [
                (key, repr(as_float(key, value)), counted) for key, value in metrics.items()
            ]

    def param(self, key: str, value: Any) -> None:
        """Log a param."""
        super().param(key, value)
        if self._notes is not None:
            self._notes.params[key] = as_text(key, value)

    def tag(self, key: str, value: Any) -> None:
        """Set a tag."""
        super().tag(key, value)
        if self._notes is not None:
            self._notes.tags[key] = None if value is None else as_text(key, value)
