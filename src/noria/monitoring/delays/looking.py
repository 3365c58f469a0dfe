"""Take the answers and labels of one look into the delays of an endpoint. Runs in a worker."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from noria.monitoring.delays.buckets import LabelledAnswer, counted, minutes_of
from noria.monitoring.delays.entities import LabelDelays
from noria.monitoring.entities import ScoredRow
from noria.monitoring.windows.labelled import is_scored
from noria.serving.captured_blocks import Block
from noria.serving.predictions import CapturedRow


class Delays:
    """Gathers what one look reads."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._answers: dict[datetime, int] = {}

    def take(self, blocks: Iterable[Block]) -> None:
        """Count rows that were answered."""
        for block in blocks:
            for minute, n in minutes_of(block.at_us, self._now).items():
                self._answers[minute] = self._answers.get(minute, 0) + n

    def result(
        self, before: LabelDelays, version: int, labelled: Sequence[CapturedRow], scores: Sequence[ScoredRow]
    ) -> LabelDelays | None:
        """Give the delays with what was read; None where that was nothing.

        Parameters
        ----------
        labelled
            Rows whose labels came since; those that are not trusted are left out.
        scores
            Of the rows among them that `version` answered, in their order.
        """
        labels = []
        found = iter(scores)
        for row in labelled:
            score = next(found).score if scores and is_scored(row, version) else None
            label = row.label
            if label is not None and label.is_trusted and label.received_at is not None:
                labels.append(LabelledAnswer(row.prediction.at, label.received_at, score))
        if not labels and not self._answers:
            return None
        return counted(before, version=version, answers=self._answers, labels=labels, now=self._now)
