"""Issues: how they are written down, changed, found and counted, and when they go, over each transport and database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from noria.access.projects import NewProject, Projects
from noria.core.clock import ManualClock
from noria.core.context import Context
from noria.core.errors import Invalid, NotFound, TooLarge
from noria.core.events.tables import events
from noria.core.permissions import Principal, Role
from noria.server.upkeep import remove_deleted
from noria.tracking.entities import NewRun
from noria.tracking.experiment_entities import NewExperiment
from noria.tracking.experiment_rows import ExperimentDeleted
from noria.tracking.issue_entities import (
    Issue,
    IssueChange,
    IssueSearch,
    IssueSeverity,
    IssueStatus,
    NewIssue,
)
from noria.tracking.issues import IssueNotFound, Issues
from noria.tracking.run_keys import RunNotFound
from noria.tracking.search.grammar import FilterInvalid
from noria.tracking.search.page_tokens import PageTokenInvalid
from noria.tracking.service import Experiments, Runs
from noria.tracking.tables import experiments
from noria.tracking.traces.assessment_entities import AssessmentKind, NewAssessment
from noria.tracking.traces.assessment_service import Assessments
from noria.tracking.traces.entities import NewTrace, TraceDeletion, TraceState
from noria.tracking.traces.service import Traces
from support.conformance import Services

PROJECT = "default"


@pytest.fixture
def clock() -> ManualClock:
    """Give the clock of the workspace, which a test moves."""
    return ManualClock(datetime.now(UTC))


def make(services: Services, name: str = "slow", *, project: str = PROJECT, **given: object) -> Issue:
    new = NewIssue(**{"experiment": 0, "name": name, "description": "It takes long", **given})  # type: ignore[arg-type]
    return services(Issues).create(project, new)


def names(services: Services, text: str = "", **given: object) -> list[str]:
    wanted = IssueSearch(filter=text, **given)  # type: ignore[arg-type]
    return [found.name for found in services(Issues).search(wanted).items]


def show(context: Context, issue: Issue, trace_id: str, *, experiment: int = 0, times: int = 1) -> None:
    """Let a trace show an issue."""
    context.service(Traces).record(
        PROJECT,
        NewTrace(
            id=trace_id,
            experiment=experiment,
            started_at=datetime(2026, 1, 1, tzinfo=UTC),
            state=TraceState.OK,
        ),
    )
    for _ in range(times):
        new = NewAssessment(name=issue.id, kind=AssessmentKind.ISSUE, value=issue.name)
        context.service(Assessments).create(PROJECT, trace_id, new)


def test_an_issue_keeps_what_was_said(services: Services) -> None:
    """The few things that must be said, or all of them."""
    run = services(Runs).create(PROJECT, NewRun(experiment="Default")).id
    bare = make(services)
    full = make(
        services,
        "límite \N{SNOWMAN}",
        status=IssueStatus.RESOLVED,
        severity=IssueSeverity.HIGH,
        root_causes=["long prompts", "small window"],
        categories=["context"],
        source_run=run,
        created_by="ana@example.com",
    )

    assert bare.id.startswith("iss-")
    assert (bare.status, bare.severity, bare.root_causes, bare.categories) == (
        IssueStatus.PENDING,
        None,
        [],
        [],
    )
    assert (bare.source_run, bare.created_by, bare.n_traces) == (None, None, None)
    assert bare.created_at == bare.updated_at
    assert (full.name, full.status, full.severity) == (
        "límite \N{SNOWMAN}",
        IssueStatus.RESOLVED,
        IssueSeverity.HIGH,
    )
    assert (full.root_causes, full.categories) == (["long prompts", "small window"], ["context"])
    assert (full.source_run, full.created_by, full.experiment) == (run, "ana@example.com", 0)
    assert services(Issues).get(PROJECT, full.id) == full
    assert services(Issues).get(PROJECT, bare.id) == bare


def test_what_is_left_out_of_a_change_stays(services: Services, clock: ManualClock, context: Context) -> None:
    """The moment of the change is kept, and events tell what was changed, by whom."""
    made = make(services, root_causes=["load"], severity=IssueSeverity.LOW)
    clock.advance(5)

    change = IssueChange(status=IssueStatus.REJECTED, severity=IssueSeverity.NOT_AN_ISSUE)
    first = services(Issues).update(PROJECT, made.id, change)
    second = services(Issues).update(PROJECT, made.id, IssueChange(name="fast", description="It does not"))

    assert (first.status, first.severity) == (IssueStatus.REJECTED, IssueSeverity.NOT_AN_ISSUE)
    assert (first.name, first.description, first.root_causes) == (made.name, made.description, ["load"])
    assert first.updated_at - made.updated_at == timedelta(seconds=5)
    assert (second.name, second.description) == ("fast", "It does not")
    assert (second.status, second.severity, second.created_at) == (
        IssueStatus.REJECTED,
        IssueSeverity.NOT_AN_ISSUE,
        made.created_at,
    )
    assert services(Issues).get(PROJECT, made.id) == second
    query = sa.select(events.c.type, events.c.payload).where(events.c.subject == f"issue:{made.id}")
    with context.database.read() as connection:
        told = [tuple(row) for row in connection.execute(query.order_by(events.c.seq))]
    assert told == [
        ("issue.created", {"experiment": 0, "name": "slow", "status": "pending"}),
        ("issue.updated", {"fields": ["severity", "status"], "status": "rejected"}),
        ("issue.updated", {"fields": ["description", "name"]}),
    ]


def test_bad_issues_are_refused(services: Services) -> None:
    """Nothing of them is kept."""
    many = ["x"] * 101
    for error, given in (
        (Invalid, {"name": ""}),
        (Invalid, {"description": ""}),
        (Invalid, {"name": "a\x00b"}),
        (TooLarge, {"name": "x" * 251}),
        (TooLarge, {"description": "x" * 100_001}),
        (TooLarge, {"created_by": "x" * 256}),
        (TooLarge, {"root_causes": many}),
        (TooLarge, {"root_causes": ["x" * 100_001]}),
        (TooLarge, {"categories": many}),
        (TooLarge, {"categories": ["x" * 251]}),
        (NotFound, {"experiment": 99}),
        (RunNotFound, {"source_run": "0" * 32}),
    ):
        with pytest.raises(error):
            make(services, **{"name": "n", **given})  # type: ignore[arg-type]
    assert names(services) == []

    made = make(services, "x" * 250, root_causes=["x"] * 100)
    for error, change in ((Invalid, IssueChange(name="")), (TooLarge, IssueChange(name="x" * 251))):
        with pytest.raises(error):
            services(Issues).update(PROJECT, made.id, change)
    with pytest.raises(IssueNotFound):
        services(Issues).update(PROJECT, "iss-0", IssueChange())
    assert services(Issues).get(PROJECT, made.id) == made


def test_a_deleted_experiment_gets_no_issues(services: Services) -> None:
    """Those that it has are still found."""
    number = services(Experiments).create(PROJECT, NewExperiment(name="old")).number
    made = make(services, experiment=number)
    services(Experiments).delete(PROJECT, "old")

    with pytest.raises(ExperimentDeleted):
        make(services, experiment=number)
    assert services(Issues).get(PROJECT, made.id) == made
    assert names(services) == ["slow"]


def test_the_worst_and_newest_come_first(services: Services, clock: ManualClock) -> None:
    """Those whose severity nobody said come last; within one moment the order is that of their making."""
    for severity in (IssueSeverity.LOW, IssueSeverity.HIGH, None, IssueSeverity.NOT_AN_ISSUE):
        make(services, f"{severity}", severity=severity)
    make(services, "again", severity=IssueSeverity.HIGH)
    clock.advance(1)
    make(services, "later", severity=IssueSeverity.LOW)
    make(services, "medium", severity=IssueSeverity.MEDIUM)

    expected = ["again", "high", "medium", "later", "low", "not_an_issue", "None"]
    assert names(services) == expected

    found: list[str] = []
    after = None
    for _ in range(4):
        page = services(Issues).search(IssueSearch(limit=2, after=after))
        found += [one.name for one in page.items]
        after = page.next
    assert (found, after) == (expected, None)


def test_tokens_belong_to_their_search(services: Services) -> None:
    """Of another search, or of none, they are refused."""
    for _ in range(2):
        make(services)
    token = services(Issues).search(IssueSearch(limit=1)).next
    assert token is not None

    for wanted in (
        IssueSearch(after="nonsense"),
        IssueSearch(after=token, count_traces=True),
        IssueSearch(after=token, filter="status = 'pending'"),
        IssueSearch(after=token, experiment=0),
    ):
        with pytest.raises(PageTokenInvalid):
            services(Issues).search(wanted)


def test_issues_are_found_by_status_run_and_experiment(services: Services) -> None:
    """As in SQL, an issue without a run is not one of another run."""
    number = services(Experiments).create(PROJECT, NewExperiment(name="other")).number
    one, two = (services(Runs).create(PROJECT, NewRun(experiment="Default")).id for _ in range(2))
    make(services, "none")
    make(services, "one", source_run=one, status=IssueStatus.RESOLVED)
    make(services, "two", source_run=two)
    make(services, "other", experiment=number, source_run=one)

    def found(text: str = "", **given: object) -> list[str]:
        return sorted(names(services, text, **given))

    assert found() == ["none", "one", "other", "two"]
    assert found("status = 'resolved'") == ["one"]
    assert found("status != 'pending'") == ["one"]
    assert found("status = 'nonsense'") == []
    assert found(f"source_run_id = '{one}'") == ["one", "other"]
    assert found(f"source_run_id != '{one}'") == ["two"]
    assert found(f"status = 'pending' AND source_run_id = '{one}'") == ["other"]
    assert found(experiment=number) == ["other"]
    assert found("status = 'resolved'", experiment=number) == []
    assert found(experiment=99) == []
    for bad, message in (
        ("severity = 'high'", "Invalid filter field 'severity'. Supported fields: "),
        ("tags.a = 'b'", "Invalid filter field 'tags'"),
        ("status LIKE 'p%'", "Invalid comparator 'LIKE'. Supported comparators: "),
        ("status IN ('pending')", "Invalid comparator 'IN'. Supported comparators: "),
        ("status > 'p'", "Invalid comparator '>'. Supported comparators: "),
        ("status = 'a' OR status = 'b'", "Invalid clause(s) in filter string: "),
        ("status", "Invalid clause(s) in filter string: "),
    ):
        with pytest.raises(FilterInvalid) as error:
            found(bad)
        assert error.value.message.startswith(message)


def test_traces_that_show_an_issue_are_counted(services: Services, context: Context) -> None:
    """Each once, within the issue's experiment; then those that more traces show come first among equally bad ones."""
    number = services(Experiments).create(PROJECT, NewExperiment(name="other")).number
    never = make(services, "never", severity=IssueSeverity.LOW)
    often = make(services, "often", severity=IssueSeverity.LOW)
    once = make(services, "once", severity=IssueSeverity.LOW)
    mild = make(services, "mild")
    for at in range(3):
        show(context, often, f"tr-{at}")
    show(context, once, "tr-3", times=2)
    show(context, never, "tr-4", experiment=number)
    show(context, mild, "tr-5")
    named = NewAssessment(name=never.id, kind=AssessmentKind.FEEDBACK, value=True)
    context.service(Assessments).create(PROJECT, "tr-5", named)

    def counted(**given: object) -> list[tuple[str, int | None]]:
        wanted = IssueSearch(count_traces=True, **given)  # type: ignore[arg-type]
        page = services(Issues).search(wanted)
        rest = counted(**{**given, "after": page.next}) if page.next else []
        return [(one.name, one.n_traces) for one in page.items] + rest

    expected = [("often", 3), ("once", 1), ("never", 0), ("mild", 1)]
    assert counted() == expected
    assert counted(limit=1) == expected
    assert counted(experiment=0, filter="status = 'pending'", limit=3) == expected
    assert names(services) == ["once", "often", "never", "mild"]
    context.service(Traces).delete(PROJECT, TraceDeletion(experiment=0, ids=["tr-0", "tr-3"]))
    assert counted() == [("often", 2), ("once", 0), ("never", 0), ("mild", 1)]


def test_an_issue_belongs_to_the_project_of_its_experiment(services: Services) -> None:
    """Another project does not have it, and cannot name a run of this one."""
    services(Projects).create(NewProject(name="bank"))
    run = services(Runs).create(PROJECT, NewRun(experiment="Default")).id
    number = services(Experiments).create("bank", NewExperiment(name="loans")).number
    made = make(services, project="bank", experiment=number)

    assert services(Issues).locate(made.id).project == "bank"
    for wrong in (PROJECT, "nowhere"):
        with pytest.raises(NotFound):
            services(Issues).get(wrong, made.id)
        with pytest.raises(NotFound):
            services(Issues).update(wrong, made.id, IssueChange(name="x"))
        with pytest.raises(NotFound):
            make(services, project=wrong, experiment=number)
    with pytest.raises(RunNotFound):
        make(services, project="bank", experiment=number, source_run=run)
    with pytest.raises(IssueNotFound):
        services(Issues).locate("iss-0")


def test_strangers_find_nothing(services: Services, context: Context) -> None:
    """Whoever has a role in one project finds the issues of that project only."""
    services(Projects).create(NewProject(name="bank"))
    number = services(Experiments).create("bank", NewExperiment(name="loans")).number
    theirs, ours = make(services, "theirs"), make(services, "ours", project="bank", experiment=number)
    stranger = context.acting_as(Principal(name="ana", project_roles={"bank": Role.VIEWER}))
    nobody = context.acting_as(Principal(name="eve"))

    assert [one.name for one in stranger.guarded(Issues).search(IssueSearch()).items] == ["ours"]
    assert stranger.guarded(Issues).search(IssueSearch(experiment=0)).items == []
    assert stranger.guarded(Issues).locate(ours.id).project == "bank"
    with pytest.raises(IssueNotFound):
        stranger.guarded(Issues).locate(theirs.id)
    assert nobody.guarded(Issues).search(IssueSearch()).items == []


def test_issues_go_with_their_experiment_and_forget_a_run_that_goes(
    services: Services, context: Context, clock: ManualClock
) -> None:
    """Once those are gone for good, and not before."""
    number = services(Experiments).create(PROJECT, NewExperiment(name="gone")).number
    run = services(Runs).create(PROJECT, NewRun(experiment="gone")).id
    kept, gone = (
        make(services, "kept", source_run=run),
        make(services, "gone", experiment=number, source_run=run),
    )
    services(Experiments).delete(PROJECT, "gone")
    assert services(Issues).get(PROJECT, kept.id).source_run == run

    clock.advance(40 * timedelta(days=1).total_seconds())
    removed = remove_deleted(context, older_than=timedelta(days=30)).rows

    assert (removed["runs"], removed["experiments"]) == (1, 1)
    assert services(Issues).get(PROJECT, kept.id).source_run is None
    assert names(services, "source_run_id != 'x'") == []
    with pytest.raises(IssueNotFound):
        services(Issues).get(PROJECT, gone.id)
    with context.database.read() as connection:
        left = connection.execute(sa.select(experiments.c.name).where(experiments.c.number == number)).all()
    assert left == []
