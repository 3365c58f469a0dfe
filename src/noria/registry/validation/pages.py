"""The page of a version's validation: the newest report, gates and approvals, and the actions on them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final

import msgspec

from noria.core.web.actions import Action, Confirmation, Done, NoFields
from noria.core.web.languages import mark
from noria.core.web.pages import Crumb, Page, PageContext, Visit
from noria.core.web.urls import VERSION_PATH
from noria.registry.entities import ModelVersion
from noria.registry.page_subjects import version_number
from noria.registry.pages_list import models_crumb
from noria.registry.permissions import APPROVE_MODELS, READ_MODELS, VALIDATE_MODELS
from noria.registry.service import Models
from noria.registry.validation.entities import (
    Approval,
    Check,
    GateState,
    Lack,
    NewApproval,
    Outcome,
    Report,
    ValidationStart,
)
from noria.registry.validation.service import MAX_NOTE_CHARS, Validations
from noria.registry.validation.words import FAMILIES

VALIDATION_WORDS: Final = mark("Validation")
OUTCOMES: Final = {
    Outcome.PASSED: ("good", mark("passed"), "✓"),
    Outcome.FAILED: ("bad", mark("failed"), "✗"),
    Outcome.BROKEN: ("bad", mark("broken"), "✗"),
    Outcome.UNMEASURED: ("look", mark("not measured"), "?"),
    Outcome.NOT_APPLICABLE: ("none", mark("does not apply"), "–"),
    Outcome.LEFT_OUT: ("none", mark("left out"), "–"),
}

_REPORTS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRow:
    """A check.

    Attributes
    ----------
    outcome
        State of its badge, words to be translated, and sign.
    words, values
        The sentence to be translated, and its figures.
    details
        The worst cases.
    """

    name: str
    outcome: tuple[str, str, str]
    value: float | None
    limit: float | None
    words: str
    values: dict[str, str | int | float]
    details: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyRow:
    """A family of checks, its name to be translated."""

    name: str
    checks: tuple[CheckRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRow:
    """A gate before an alias.

    Attributes
    ----------
    lacks
        What keeps it shut, each a sentence with its figures, and the command that mends it.
    is_approved_by_reader
        Whether the reader's own approval stands.
    """

    alias: str
    is_open: bool
    lacks: tuple[Lack, ...]
    approvals: tuple[Approval, ...]
    asks_approvals: bool
    is_approved_by_reader: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OlderRow:
    """A report in the list of all."""

    id: str
    outcome: tuple[str, str, str]
    author: str
    created_at: datetime
    url: str
    is_shown: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the newest report of a version says.

    Attributes
    ----------
    outcome
        State of its badge, words to be translated, sign.
    """

    outcome: tuple[str, str, str]
    at: datetime


def standing(visit: Visit, version: ModelVersion) -> Standing | None:
    """Give what the newest report of a version says; None without one."""
    reports = visit.context.service(Validations).list(version.project, version.model, version.version, 1)
    return next(
        (Standing(outcome=OUTCOMES[each.outcome], at=each.created_at) for each in reports.items), None
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationContext(PageContext):
    """What the page shows.

    Attributes
    ----------
    now
        When it was read.
    model, version, ref
        Of what version it is.
    report
        The report that is shown; None while there is none.
    outcome
        Of the report: state of its badge, words to be translated, sign.
    n_passed, n_bad
        Checks of it.
    families
        Its checks, the families with bad ones first.
    older
        The newest reports.
    gates
        Before the aliases of the model.
    may_validate, may_approve
        What the reader may do.
    max_note_chars
        Limit of the field.
    """

    now: datetime
    model: str
    version: int
    ref: str
    report: Report | None
    outcome: tuple[str, str, str]
    n_passed: int
    n_bad: int
    families: tuple[FamilyRow, ...]
    older: tuple[OlderRow, ...]
    gates: tuple[GateRow, ...]
    may_validate: bool
    may_approve: bool
    max_note_chars: int


class ApprovalForm(msgspec.Struct, frozen=True, kw_only=True):
    """An approval; the note may be left empty."""

    alias: str
    note: Annotated[str, msgspec.Meta(max_length=MAX_NOTE_CHARS)] = ""


class AliasOnly(msgspec.Struct, frozen=True, kw_only=True):
    """For which alias the approval is taken back."""

    alias: str


def validation_page(visit: Visit) -> ValidationContext:
    """Show a version's validation."""
    project, version = visit.parameters["project"], _version(visit)
    service = visit.context.service(Validations)
    reports = service.list(project, version.model, version.version, limit=_REPORTS).items
    wanted = visit.parameters.get("report")
    report = next((each for each in reports if each.id == wanted), None) if wanted else None
    if wanted and report is None:
        report = service.get(project, version.model, version.version, wanted)
    report = report or (reports[0] if reports else None)
    caller = visit.context.principal
    checks = report.checks if report else []
    return ValidationContext(
        trail=(
            models_crumb(visit, project),
            Crumb(text=version.model, url=visit.urls.model(project, version.model)),
            Crumb(
                text=f"v{version.version}", url=visit.urls.version(project, version.model, version.version)
            ),
            Crumb(text=VALIDATION_WORDS, is_ours=True),
        ),
        now=visit.context.clock.now(),
        model=version.model,
        version=version.version,
        ref=version.ref,
        report=report,
        outcome=OUTCOMES[report.outcome] if report else OUTCOMES[Outcome.UNMEASURED],
        n_passed=sum(check.outcome is Outcome.PASSED for check in checks),
        n_bad=sum(check.outcome.is_bad for check in checks),
        families=_families(checks),
        older=tuple(_older(visit, version, each, report) for each in reports),
        gates=tuple(
            _gate(state, caller.name)
            for state in service.gates(project, version.model, version.version).items
        ),
        may_validate=caller.may(VALIDATE_MODELS, project),
        may_approve=caller.may(APPROVE_MODELS, project),
        max_note_chars=MAX_NOTE_CHARS,
    )


def start_validation(visit: Visit, _form: NoFields) -> Done:
    """Have a worker try the version."""
    version = _version(visit)
    service = visit.context.service(Validations)
    service.start(version.project, version.model, version.version, ValidationStart())
    return Done(
        words=mark("A worker tries `%(ref)s`; its report will stand here"), values={"ref": version.ref}
    )


def approve_version(visit: Visit, form: ApprovalForm) -> Done:
    """Approve the version for an alias."""
    version = _version(visit)
    new = NewApproval(alias=form.alias, note=form.note)
    visit.context.service(Validations).approve(version.project, version.model, version.version, new)
    return Done(
        words=mark("`%(ref)s` is approved for `%(alias)s`"), values={"ref": version.ref, "alias": form.alias}
    )


def confirm_approval(visit: Visit, form: ApprovalForm) -> Confirmation | None:
    """Say what an approval means."""
    return Confirmation(
        words=mark("Approve `%(ref)s` for `%(alias)s`?"),
        consequences=(
            mark("Your name, your role and the time are kept with the version"),
            mark("You can take it back; an alias that points there stays"),
        ),
        values={"ref": _version(visit).ref, "alias": form.alias},
        button=mark("Approve"),
        back=visit.here,
    )


def withdraw_approval(visit: Visit, form: AliasOnly) -> Done:
    """Take the reader's approval back."""
    version = _version(visit)
    service = visit.context.service(Validations)
    service.withdraw(version.project, version.model, version.version, form.alias)
    return Done(
        words=mark("Your approval of `%(ref)s` for `%(alias)s` is taken back"),
        values={"ref": version.ref, "alias": form.alias},
    )


def _version(visit: Visit) -> ModelVersion:
    models, project = visit.context.service(Models), visit.parameters["project"]
    return models.version(project, visit.parameters["model"], version_number(visit))


def _families(checks: list[Check]) -> tuple[FamilyRow, ...]:
    names = dict.fromkeys(check.family for check in checks)
    rows = [
        FamilyRow(
            name=FAMILIES.get(family, family),
            checks=tuple(_row(check) for check in checks if check.family == family),
        )
        for family in names
    ]
    rows.sort(key=lambda row: all(check.outcome[0] != "bad" for check in row.checks))
    return tuple(rows)


def _row(check: Check) -> CheckRow:
    return CheckRow(
        name=check.name,
        outcome=OUTCOMES[check.outcome],
        value=check.value,
        limit=check.limit,
        words=check.words,
        values=check.values,
        details=tuple(check.details) if check.outcome.is_bad or check.family == "own" else (),
    )


def _gate(state: GateState, reader: str) -> GateRow:
    return GateRow(
        alias=state.alias,
        is_open=state.is_open,
        lacks=tuple(state.lacks),
        approvals=tuple(state.approvals),
        asks_approvals=state.asks_approvals,
        is_approved_by_reader=any(each.given_by == reader for each in state.approvals),
    )


def _older(visit: Visit, version: ModelVersion, report: Report, shown: Report | None) -> OlderRow:
    return OlderRow(
        id=report.id,
        outcome=OUTCOMES[report.outcome],
        author=report.author,
        created_at=report.created_at,
        url=visit.urls.version(
            version.project, version.model, version.version, "validation", report=report.id
        ),
        is_shown=shown is not None and report.id == shown.id,
    )


PAGES = (
    Page(
        path=f"{VERSION_PATH}/validation",
        needs=READ_MODELS,
        template="noria.registry/validation.html",
        build=validation_page,
        query=("report",),
    ),
)

ACTIONS = (
    Action(
        path=f"{VERSION_PATH}/validation/start",
        needs=VALIDATE_MODELS,
        fields=NoFields,
        handle=start_validation,
    ),
    Action(
        path=f"{VERSION_PATH}/validation/approve",
        needs=APPROVE_MODELS,
        fields=ApprovalForm,
        handle=approve_version,
        confirm=confirm_approval,
    ),
    Action(
        path=f"{VERSION_PATH}/validation/withdraw",
        needs=APPROVE_MODELS,
        fields=AliasOnly,
        handle=withdraw_approval,
    ),
)
