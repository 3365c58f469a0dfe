"""What every stage gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from noria.catalog.entities import Evidence

LACKS = "lacks"
"""Verdict of a stage that had too little to go by. It moves no probability."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Evidence of one stage.

    Attributes
    ----------
    verdict
        One of those that `noria.decisions.diagnosis.LIKELIHOOD` lists for the stage, or `lacks`.
    subject
        Column, version or class concerned.
    """

    stage: str
    verdict: str
    sentence: str
    figures: dict[str, Any] = field(default_factory=dict)
    subject: str | None = None

    @property
    def evidence(self) -> Evidence:
        """The form that the catalogue keeps."""
        figures = {**self.figures, "subject": self.subject} if self.subject else self.figures
        return Evidence(stage=self.stage, verdict=self.verdict, sentence=self.sentence, figures=figures)


def lacks(stage: str, why: str, **figures: Any) -> Finding:
    """Say what a stage would have needed."""
    return Finding(stage=stage, verdict=LACKS, sentence=why, figures=figures)
