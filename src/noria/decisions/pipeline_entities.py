"""What changed in the scheduled pipeline that an endpoint's rows come from, and what is done about it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from noria.pipelines.schedules.entities import Aside


class Rerun(msgspec.Struct, frozen=True, kw_only=True):
    """A run of the schedule whose rows a batch run predicted.

    Attributes
    ----------
    batch_run
        Whose rows were captured.
    made
        Data set that the batch run read, by name and version, which the run of the pipeline made.
    copied
        Columns of it that the batch run copied, and did not give to the model.
    run_id
        Of the pipeline.
    reads
        Data sets that the run read, by name and version.
    params, params_before
        Parameters as the later revision and the one before have them for the same interval.
    """

    batch_run: str
    made: str
    copied: list[str]
    run_id: str
    reads: list[str]
    params: dict[str, Any]
    params_before: dict[str, Any]


class PipelineChange(msgspec.Struct, frozen=True, kw_only=True):
    """Two runs of a schedule, one after the other, of which the later one is not like the earlier one.

    Attributes
    ----------
    before, after
        Revisions of the schedule: that of the earlier run, and that of the later one or what was applied since and
        runs now; equal where only the environment differs.
    target_before, target_after
        Their pipelines, and `snapshot_before`, `snapshot_after` their code.
    run_before, run_after
        Runs of the pipeline.
    what
        `code`, `parameters`, `environment`: wherein they differ.
    since
        Start of the interval of the later run; None where it has none.
    reruns
        Runs since then, the newest last; where only the environment differs, the earlier run.
    aside
        What the schedule, as it was applied last, lets its pipeline do where it is run aside.
    """

    schedule: str
    before: int
    after: int
    target_before: str
    target_after: str
    snapshot_before: str | None
    snapshot_after: str | None
    run_before: str
    run_after: str
    what: list[str]
    since: datetime | None
    reruns: list[Rerun]
    aside: Aside = Aside.CONFINED

    @property
    def is_of_environment(self) -> bool:
        """Whether nothing but the environment differs, of which no revision knows."""
        return self.what == ["environment"]

    @property
    def made(self) -> str:
        """Name of the data set that the schedule makes."""
        return self.reruns[-1].made.partition("@")[0]

    @property
    def words(self) -> str:
        """The schedule with its revisions, for a sentence."""
        return f"revision {self.after} of the schedule {self.schedule} against revision {self.before}"


class RanAside(msgspec.Struct, frozen=True, kw_only=True):
    """What a pipeline gave aside of the workspace.

    Attributes
    ----------
    steps
        Place of each step (`features.py:scale`, with its number from the second call on) and digests of its outputs,
        in their order.
    rows
        Digest of the rows that it made of the data set asked for, as Parquet; None when it made none.
    """

    steps: list[tuple[str, list[str]]]
    rows: str | None


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """Both revisions, run on the same inputs.

    Attributes
    ----------
    old, new
        What each gave on the inputs of the newest run; None where it did not run, for which `why_not` is.
    others
        What the old revision gave on the inputs of the runs before the newest, in their order; None where it failed.
    """

    change: PipelineChange
    old: RanAside | None = None
    new: RanAside | None = None
    others: list[RanAside | None] = []
    why_not: str = ""

    def old_of(self, place: int) -> RanAside | None:
        """Give what the old revision gave on the inputs of a run."""
        if place == len(self.change.reruns) - 1:
            return self.old
        return self.others[place] if place < len(self.others) else None


class PipelinePin(msgspec.Struct, frozen=True, kw_only=True):
    """The revision that a schedule is to run, instead of which, and from when on its runs are repeated."""

    schedule: str
    revision: int
    instead_of: int
    since: datetime | None = None

    @property
    def words(self) -> str:
        """For a sentence."""
        return f"the schedule {self.schedule} runs revision {self.revision} again"
