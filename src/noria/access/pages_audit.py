"""The page of the audit: what happened, newest first, and how far the chain of hashes reaches."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from noria.access.audit import Audit
from noria.access.audit_reads import AuditPages, ChainState
from noria.access.permissions import READ_AUDIT
from noria.access.projects import Projects
from noria.core.errors import Invalid
from noria.core.events.log import Event, EventFilter
from noria.core.events.verification import AuditReport
from noria.core.ids import is_id
from noria.core.web.formats import clipped
from noria.core.web.languages import mark
from noria.core.web.pages import Crumb, Page, PageContext, Visit
from noria.core.web.parts import Column, Pager, Tab
from noria.core.web.references import reference_url
from noria.core.web.urls import AUDIT_PATH

EVENTS_PER_PAGE: Final = 50
MAX_CHECKED: Final = 100_000
"""Events whose chain a page checks; the command checks longer logs."""

WORKSPACE: Final = "workspace"

_FIELDS = ("actor", "type", "subject", "since", "until")
_LONGEST = 300
_SUBJECT = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """An event in the list.

    Attributes
    ----------
    position
        Place in the log.
    project
        Empty for what belongs to the workspace.
    short_subject, url
        The subject cut to fit, and its page; empty for none.
    details
        What its payload says.
    by_actor, by_type, by_subject
        Addresses of this list with only the events of the same actor, type or subject.
    """

    position: int
    at: datetime
    actor: str
    project: str
    type: str
    subject: str
    short_subject: str
    url: str
    details: tuple[tuple[str, object], ...]
    by_actor: str
    by_type: str
    by_subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditContext(PageContext):
    """What the page of the audit shows.

    Attributes
    ----------
    now
        When it was read.
    tabs
        This project, and the whole workspace for who may read all of it.
    columns
        Headings.
    events
        Newest first.
    pager
        The place in the log.
    is_cut
        Whether the page ends where it does because it looked at as many events as it may.
    given
        The filter as it was typed, by name of the field.
    is_filtered
        Whether there is a filter.
    clear_url
        The list without a filter.
    scope
        `workspace`, or empty for the project.
    chain
        How far the chain of hashes reaches; None for who may not read the whole log.
    report
        What a check of the chain found; None when none was asked for.
    check_url
        Checks the chain; empty where the log is too long for a page.
    """

    now: datetime
    tabs: tuple[Tab, ...]
    columns: tuple[Column, ...]
    events: tuple[EventRow, ...]
    pager: Pager
    is_cut: bool
    given: dict[str, str]
    is_filtered: bool
    clear_url: str
    scope: str
    chain: ChainState | None
    report: AuditReport | None
    check_url: str


def audit_page(visit: Visit) -> AuditContext:
    """Show what happened in a project, or in the whole workspace."""
    project = visit.context.service(Projects).get(visit.parameters["project"]).name
    scope, before = _scope(visit), _number(visit, "before")
    given = {
        name: visit.parameters[name].strip() for name in _FIELDS if visit.parameters.get(name, "").strip()
    }
    reads = visit.context.service(AuditPages)
    asked = _filter(given, None if scope else project)
    found = reads.events(asked, before=before, limit=EVENTS_PER_PAGE)
    chain = reads.chain() if visit.context.principal.may(READ_AUDIT, None) else None
    may_check = chain is not None and chain.last <= MAX_CHECKED

    def here(**more: str | None) -> str:
        return visit.urls.audit(project, of=scope or None, **{**given, **more})

    return AuditContext(
        trail=(Crumb(text=mark("Audit"), is_ours=True),),
        now=visit.context.clock.now(),
        tabs=_tabs(visit, project, scope) if chain else (),
        columns=_COLUMNS,
        events=tuple(_event_row(visit, project, scope, event) for event in found.items),
        pager=Pager(
            first=here() if before is not None else None,
            following=here(before=str(found.next)) if found.next is not None else None,
            n_shown=len(found.items),
        ),
        is_cut=found.next is not None and len(found.items) < EVENTS_PER_PAGE,
        given=given,
        is_filtered=bool(given),
        clear_url=visit.urls.audit(project, of=scope or None),
        scope=scope,
        chain=chain,
        report=visit.context.service(Audit).verify() if may_check and "check" in visit.parameters else None,
        check_url=here(check="yes") if may_check else "",
    )


def _scope(visit: Visit) -> str:
    given = visit.parameters.get("of", "")
    if given not in ("", WORKSPACE):
        raise Invalid(f"`of` must be `{WORKSPACE}`, not `{given[:100]}`", hint="Leave it out")
    return given


def _tabs(visit: Visit, project: str, scope: str) -> tuple[Tab, ...]:
    return (
        Tab(words=mark("This project"), url=visit.urls.audit(project), is_current=not scope),
        Tab(
            words=mark("The whole workspace"),
            url=visit.urls.audit(project, of=WORKSPACE),
            is_current=bool(scope),
        ),
    )


def _filter(given: dict[str, str], project: str | None) -> EventFilter:
    for name, value in given.items():
        if len(value) > _LONGEST:
            raise Invalid(f"`{name}` is longer than {_LONGEST} characters", hint="Give less of it")
    since, until = _day(given, "since"), _day(given, "until")
    return EventFilter(
        project=project,
        type=given.get("type"),
        subject=given.get("subject"),
        actor=given.get("actor"),
        since=since,
        until=None if until is None else until + timedelta(days=1),
    )


def _day(given: dict[str, str], name: str) -> datetime | None:
    text = given.get(name)
    if text is None:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise Invalid(
            f"`{name}` must be a day such as `2026-01-31`, not `{text[:100]}`", hint="Choose a day"
        ) from error
    if not 1970 <= day.year <= 9000:
        raise Invalid(f"`{name}` is a day that no event can have: `{text[:100]}`", hint="Choose another day")
    return datetime.combine(day, time(), UTC)


def _event_row(visit: Visit, project: str, scope: str, event: Event) -> EventRow:
    def only(**given: str) -> str:
        return visit.urls.audit(project, of=scope or None, **given)

    url = reference_url(visit.urls, event.project, event.subject) if event.project else None
    return EventRow(
        position=event.position,
        at=event.at,
        actor=event.actor,
        project=event.project or "",
        type=event.type,
        subject=event.subject,
        short_subject=_short(event.subject),
        url=url or "",
        details=tuple(
            (key, value) for key, value in event.payload.items() if value not in (None, "", [], {})
        ),
        by_actor=only(actor=event.actor),
        by_type=only(type=event.type),
        by_subject=only(subject=event.subject),
    )


def _short(subject: str) -> str:
    """Cut a subject to fit; of an id the end tells most."""
    kind, _, name = subject.partition(":")
    return f"{kind}:…{name[-8:]}" if is_id(name) else clipped(subject, _SUBJECT)


def _number(visit: Visit, name: str) -> int | None:
    given = visit.parameters.get(name)
    if given is None:
        return None
    if not (given.isascii() and given.isdecimal()) or len(given) > 15:
        raise Invalid(f"`{name}` must be a number, not `{given[:100]}`", hint="Leave it out")
    return int(given)


_COLUMNS = (
    Column(key="at", words=mark("When")),
    Column(key="actor", words=mark("Who")),
    Column(key="type", words=mark("What")),
    Column(key="subject", words=mark("To what")),
    Column(key="details", words=mark("Details")),
    Column(key="position", words=mark("Place"), is_number=True),
)

PAGES = (
    Page(
        path=AUDIT_PATH,
        needs=READ_AUDIT,
        template="noria.access/audit.html",
        build=audit_page,
        query=("before", "of", "check", *_FIELDS),
    ),
)
