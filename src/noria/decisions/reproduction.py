"""Come to a decision again from what is stored of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from noria.catalog.entities import DecisionRecord, Evidence
from noria.core.serialisation import convert
from noria.decisions.choice import Choice, choose, within_allowance
from noria.decisions.diagnosis import LIKELIHOOD, PRIOR, Diagnosis, conclude
from noria.decisions.entities import Basis, Cause, DecisionSection
from noria.decisions.memory import believed
from noria.decisions.stages.finding import LACKS, Finding


class Reproduced(msgspec.Struct, frozen=True, kw_only=True):
    """What the stored evidence gives."""

    diagnosis: Diagnosis
    choice: Choice


class Weight(msgspec.Struct, frozen=True, kw_only=True):
    """How one stage moved the causes: probability of its verdict under each; 1 where it lacked data."""

    stage: str
    verdict: str
    likelihood: dict[str, float]


def reproduced(record: DecisionRecord, basis: Basis) -> Reproduced:
    """Weigh the stored evidence again, and choose again among the stored candidates.

    Parameters
    ----------
    basis
        What the decision kept of its settings and of earlier outcomes.
    """
    diagnosis = conclude(_findings(record.evidence, basis))
    settings = convert(basis.settings, DecisionSection, what="decision settings")
    choice = choose(
        diagnosis.causes,
        believed(record.candidates, basis.credibility, settings),
        settings,
        contract_broken=diagnosis.contract_broken,
    )
    return Reproduced(diagnosis=diagnosis, choice=within_allowance(choice, basis.acted_alone, settings))


def weights(evidence: list[Evidence]) -> list[Weight]:
    """Give what each stage weighed, after the prior."""
    prior = Weight(stage="prior", verdict="", likelihood=_named(PRIOR))
    return [prior, *(_weight(found) for found in evidence if found.stage in LIKELIHOOD)]


def _weight(found: Evidence) -> Weight:
    table = LIKELIHOOD[found.stage]
    known = found.verdict != LACKS
    shares = {cause: table[cause][found.verdict] if known else 1.0 for cause in Cause}
    return Weight(stage=found.stage, verdict=found.verdict, likelihood=_named(shares))


def _findings(evidence: list[Evidence], basis: Basis) -> list[Finding]:
    """Give the evidence of the last round; what earlier rounds saw besides stays in the record unweighed."""
    return [
        Finding(
            stage=found.stage,
            verdict=found.verdict,
            sentence=found.sentence,
            figures=found.figures,
            subject=found.figures.get("subject"),
        )
        for found in evidence
        if found.stage in basis.stages
    ]


def _named(shares: Mapping[Cause, float]) -> dict[str, float]:
    return {cause.value: share for cause, share in shares.items()}
