"""By what a remedy that was chosen is carried out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from noria.core.serialisation import convert
from noria.decisions.choice import Choice
from noria.decisions.entities import Remedy
from noria.decisions.pipeline_entities import PipelinePin
from noria.serving.repairs.entities import ColumnRepair


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """By what a remedy is carried out: a version and how it is made, a repair of inputs, or an earlier revision."""

    version: int | None
    way: str
    repair: list[ColumnRepair]
    pin: PipelinePin | None

    @property
    def is_there(self) -> bool:
        """Whether there is anything to do."""
        return self.version is not None or bool(self.repair) or self.pin is not None


def means_of(tried: dict[str, Any], choice: Choice) -> Means:
    """Give by what a choice is carried out, out of what was tried."""
    remedy = choice.remedy.value
    repair = tried.get("repair", []) if choice.remedy is Remedy.REPAIR_INPUTS else []
    pin = tried.get("pin") if choice.remedy is Remedy.FIX_PIPELINE else None
    return Means(
        version=tried.get("targets", {}).get(remedy),
        way=tried.get("ways", {}).get(remedy, ""),
        repair=convert(repair, list[ColumnRepair]),
        pin=None if pin is None else convert(pin, PipelinePin),
    )
