"""What workers do for a decision: each takes and gives JSON, reads what it needs, and decides nothing."""

from noria.decisions.jobs.diagnosing import diagnose
from noria.decisions.jobs.judging import try_remedies
from noria.decisions.jobs.making import check_refit, refit, teach, train_on
from noria.decisions.jobs.measuring import measure_outcome, measure_repair

__all__ = [
    "check_refit",
    "diagnose",
    "measure_outcome",
    "measure_repair",
    "refit",
    "teach",
    "train_on",
    "try_remedies",
]
