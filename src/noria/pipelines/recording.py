"""What a step tells while it runs (lineage, metrics, files it reads), kept so that a reused step can tell it again."""

from __future__ import annotations

from collections.abc import Sequence

from noria.core.lineage import Recorder
from noria.pipelines.cache_entities import Followed, Logged
from noria.tracking.entities import Link

MOST_LOGGED = 10_000
"""Points that a step may log and still be reused: more would make its cache entry heavier than its outputs."""

MOST_FILES_READ = 10_000


class StepNotes:
    """What one execution of a step told."""

    def __init__(self, run: Recorder) -> None:
        self._run = run
        self.inputs: dict[str, Link] = {}
        self.made: dict[str, Link] = {}
        self.followed: dict[str, Followed] = {}
        self.metrics: list[tuple[str, str, int]] = []
        self.params: dict[str, str] = {}
        self.tags: dict[str, str | None] = {}

    @property
    def inputs_read(self) -> Sequence[str]:
        """References of what the whole run read so far."""
        return self._run.inputs_read

    def record_input(self, ref: str, digest: str) -> None:
        """Note what was read, here and in the run."""
        self.inputs[ref] = Link(ref=ref, digest=digest)
        self._run.record_input(ref, digest)

    def record_output(self, ref: str, digest: str) -> None:
        """Note what was made, here and in the run."""
        self.made[ref] = Link(ref=ref, digest=digest)
        self._run.record_output(ref, digest)

    def follow(self, name: str, ref: str) -> None:
        """Note where a name led whose target moves."""
        self.followed[name] = Followed(name=name, ref=ref)

    @property
    def logged(self) -> Logged:
        """What was logged."""
        return Logged(metrics=self.metrics, params=self.params, tags=self.tags)
