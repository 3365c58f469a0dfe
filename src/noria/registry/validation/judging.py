"""Hold what was measured to limits, and a version to a gate. Pure: values in, values out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from noria.core.permissions import Role
from noria.registry.validation.entities import (
    Approval,
    Check,
    Gate,
    Lack,
    Limits,
    Outcome,
    Report,
)
from noria.registry.validation.words import (
    LACKS_APPROVAL,
    LACKS_CHECK,
    LACKS_COUNTING,
    LACKS_LIMIT,
    LACKS_LOCK,
    LACKS_MISSING_CHECK,
    LACKS_PACKAGE,
    LACKS_REPORT,
    LACKS_SUITE,
)

OWN_FAMILY = "own"


def judged(value: float | None, limit: float | None) -> Outcome:
    """Hold a value to the largest that passes.

    Examples
    --------
    >>> judged(0.2, 0.1).value, judged(0.1, 0.1).value, judged(None, 0.1).value, judged(9.0, None).value
    ('failed', 'passed', 'not_applicable', 'passed')
    """
    if value is None:
        return Outcome.NOT_APPLICABLE
    # Written so that a value that is no number fails.
    return Outcome.PASSED if limit is None or value <= limit else Outcome.FAILED


def outcome_of(checks: Iterable[Check]) -> Outcome:
    """Give the outcome of a report: failed when any check is bad."""
    return Outcome.FAILED if any(check.outcome.is_bad for check in checks) else Outcome.PASSED


def lacks_of_report(
    report: Report, limits: Limits, *, skip: Sequence[str], suites: Sequence[str]
) -> list[Lack]:
    """Tell what in a report does not keep limits, whatever limits it was made with."""
    mend = f"noria models validate {report.ref}"
    found = {check.name: check for check in report.checks}
    lacks = []
    for name in (name for name in Limits.__struct_fields__ if name not in skip):
        check = found.get(name)
        if check is None or check.outcome in (Outcome.UNMEASURED, Outcome.LEFT_OUT):
            lacks.append(Lack(words=LACKS_MISSING_CHECK, values={"check": name}, mend=mend))
        elif check.outcome is Outcome.BROKEN:
            lacks.append(_bad(check, mend))
        elif judged(check.value, limit := getattr(limits, name)) is Outcome.FAILED:
            values: dict[str, str | int | float] = {
                "check": name,
                "value": f"{check.value:.4g}",
                "limit": f"{limit:.4g}",
            }
            lacks.append(Lack(words=LACKS_LIMIT, values=values, mend=mend))
    lacks += [
        _bad(check, mend) for check in report.checks if check.family == OWN_FAMILY and check.outcome.is_bad
    ]
    ran = {suite.name for suite in report.suites}
    lacks += [
        Lack(words=LACKS_SUITE, values={"suite": name}, mend=f"{mend} --suite {name}")
        for name in suites
        if name not in ran
    ]
    return lacks


def lacks_of_approvals(
    approvals: Sequence[Approval], wanted: dict[Role, int], *, author: str, mend: str
) -> list[Lack]:
    """Tell which approvals a version lacks.

    The strongest roles are looked at first, so that nobody counts for a lesser role who is needed for a stronger one.

    Parameters
    ----------
    author
        Who registered the version, whose approval does not count.
    """
    free = [each for each in approvals if each.given_by != author]
    free.sort(key=lambda each: -each.role.rank)
    lacks, used = [], Counter[Role]()
    for role in sorted(wanted, key=lambda each: -each.rank):
        fit = [each for each in free if each.role.contains(role)][: wanted[role]]
        used[role] = len(fit)
        free = [each for each in free if each not in fit]
        if len(fit) < wanted[role]:
            values: dict[str, str | int | float] = {
                "has": len(fit),
                "wants": wanted[role],
                "role": role.value,
            }
            lacks.append(Lack(words=LACKS_APPROVAL, values=values, mend=mend))
    return lacks


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """All that a gate looks at.

    Attributes
    ----------
    report
        The newest that counts.
    has_other
        Whether there is a report that does not count.
    has_signed_package, has_complete_lock
        Of some package of the version.
    """

    ref: str
    author: str
    report: Report | None
    has_other: bool
    approvals: list[Approval]
    has_signed_package: bool
    has_complete_lock: bool


def lacks_of(gate: Gate, alias: str, limits: Limits, skip: Sequence[str], standing: Standing) -> list[Lack]:
    """Tell what keeps a gate shut; nothing when it is open."""
    lacks: list[Lack] = []
    validate, build = f"noria models validate {standing.ref}", f"noria packages build {standing.ref}"
    if (gate.validated or gate.suites) and standing.report is None:
        lacks.append(Lack(words=LACKS_COUNTING if standing.has_other else LACKS_REPORT, mend=validate))
    elif standing.report is not None and gate.validated:
        lacks += lacks_of_report(standing.report, limits, skip=skip, suites=gate.suites)
    if gate.signed_package and not standing.has_signed_package:
        lacks.append(Lack(words=LACKS_PACKAGE, mend=build))
    if gate.complete_lock and not standing.has_complete_lock:
        lacks.append(Lack(words=LACKS_LOCK, mend=build))
    approve = f"noria models approve {standing.ref} {alias}"
    return lacks + lacks_of_approvals(
        standing.approvals, gate.approvals, author=standing.author, mend=approve
    )


def _bad(check: Check, mend: str) -> Lack:
    return Lack(words=LACKS_CHECK, values={"check": check.name, "sentence": check.sentence}, mend=mend)
