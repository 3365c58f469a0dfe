"""Scorers, label schemas and review queues over each transport and database: what is kept, refused and goes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from noria.core.context import Context
from noria.core.errors import Conflict, Invalid, NotFound
from noria.core.permissions import Principal, Role
from noria.tracking.experiment_entities import NewExperiment
from noria.tracking.experiment_rows import ExperimentDeleted
from noria.tracking.reviewing.label_entities import (
    Categorical,
    FreeText,
    LabelInput,
    LabelSchemaChange,
    LabelType,
    NewLabelSchema,
    Numeric,
    PassFail,
)
from noria.tracking.reviewing.labels import LabelSchemas
from noria.tracking.reviewing.queue_entities import (
    NewReviewQueue,
    QueueType,
    ReviewItems,
    ReviewOutcome,
    ReviewQueueChange,
    ReviewStatus,
    UserQueue,
)
from noria.tracking.reviewing.queue_items import ReviewItemsUnknown
from noria.tracking.reviewing.queues import ReviewQueues
from noria.tracking.reviewing.scorer_entities import NewSampling, NewScorer, SamplingSearch, ScorerSearch
from noria.tracking.reviewing.scorers import ScorerNotFound, Scorers
from noria.tracking.reviewing.tables import review_queue_items, review_queues, scorer_versions
from noria.tracking.service import Experiments
from noria.tracking.tables import experiments
from noria.tracking.traces.entities import NewTrace, TraceDeletion, TraceState
from noria.tracking.traces.service import Traces
from support.conformance import Services

PROJECT = "default"
CODE = '{"name": "short", "call_source": "raise SystemExit"}'


def trace(context: Context, trace_id: str, experiment: int = 0) -> str:
    """Keep a trace."""
    started = datetime(2026, 1, 1, tzinfo=UTC)
    new = NewTrace(id=trace_id, experiment=experiment, started_at=started, state=TraceState.OK)
    context.service(Traces).record(PROJECT, new)
    return trace_id


def test_scorers_are_kept_by_version_and_never_run(services: Services, context: Context) -> None:
    """Code and all; the latest of each is listed, and one version can go alone."""
    scorers = services(Scorers)
    first = scorers.register(PROJECT, NewScorer(experiment=0, name="a/b ñ", content=CODE))
    second = scorers.register(PROJECT, NewScorer(experiment=0, name="a/b ñ", content="{}"))
    other = scorers.register(PROJECT, NewScorer(experiment=0, name="x", content="{}"))

    assert (first.version, second.version, second.id) == (1, 2, first.id)
    assert scorers.get(PROJECT, 0, "a/b ñ", 1) == first
    assert scorers.get(PROJECT, 0, "a/b ñ") == second
    assert scorers.versions(PROJECT, 0, "a/b ñ").items == [first, second]
    assert scorers.search(ScorerSearch()).items == scorers.search(ScorerSearch(experiments=[0, 9])).items
    assert scorers.search(ScorerSearch()).items == [second, other]
    scorers.delete(PROJECT, 0, "a/b ñ", 2)
    assert scorers.search(ScorerSearch()).items == [first, other]
    scorers.delete(PROJECT, 0, "a/b ñ")
    with pytest.raises(ScorerNotFound):
        scorers.versions(PROJECT, 0, "a/b ñ")
    for wrong in ("", "{", "[]", '{"builtin_scorer_pydantic_data": {"model": 5}}'):
        with pytest.raises(Invalid):
            scorers.register(PROJECT, NewScorer(experiment=0, name="x", content=wrong))

    number = services(Experiments).create(PROJECT, NewExperiment(name="old")).number
    scorers.register(PROJECT, NewScorer(experiment=number, name="x", content="{}"))
    services(Experiments).delete(PROJECT, "old")
    with pytest.raises(ExperimentDeleted):
        scorers.get(PROJECT, number, "x")
    assert scorers.search(ScorerSearch()).items == [other]
    with context.database.write() as connection:
        connection.execute(sa.delete(experiments).where(experiments.c.number == number))
        count = sa.select(sa.func.count()).select_from(scorer_versions)
        assert connection.execute(count).scalar_one() == 1


def test_a_scorer_has_one_sampling(services: Services) -> None:
    """Said again, it is another; and a server that runs no scorer lets nobody wait for its verdict."""
    scorers = services(Scorers)
    made = scorers.register(PROJECT, NewScorer(experiment=0, name="s", content="{}"))
    scorers.set_sampling(PROJECT, NewSampling(experiment=0, name="s", sample_rate=0.0))
    wanted = NewSampling(experiment=0, name="s", sample_rate=0.0, filter="status = 'OK'")
    kept = scorers.set_sampling(PROJECT, wanted)

    assert scorers.samplings(SamplingSearch(scorer_ids=[made.id, "x"])).items == [kept]
    assert (kept.scorer_id, kept.filter) == (made.id, "status = 'OK'")
    for wrong in ({"sample_rate": 0.5}, {"sample_rate": 1.5}, {"filter": "nonsense"}):
        new = NewSampling(**{"experiment": 0, "name": "s", "sample_rate": 0.0, **wrong})  # type: ignore[arg-type]
        with pytest.raises(Invalid):
            scorers.set_sampling(PROJECT, new)


def test_questions_keep_their_kind(services: Services) -> None:
    """Each experiment has one from the start, which stays as it is; pages end."""
    labels = services(LabelSchemas)
    inputs: tuple[LabelInput, ...] = (
        PassFail(positive_label="sí", negative_label="no"),
        Categorical(options=["a", "b"], multi_select=True),
        Numeric(min_value=0.5),
        FreeText(max_length=9),
    )
    made = [
        labels.create(
            PROJECT, NewLabelSchema(experiment=0, name=f"q{at}", type=LabelType.EXPECTATION, input=each)
        )
        for at, each in enumerate(inputs)
    ]
    first = labels.list(PROJECT, 0, 3)
    rest = labels.list(PROJECT, 0, 3, first.next)
    default = next(each for each in [*first.items, *rest.items] if each.is_default)

    assert tuple(each.input for each in made) == inputs
    assert sorted(each.name for each in [*first.items, *rest.items]) == ["Feedback", "q0", "q1", "q2", "q3"]
    assert rest.next is None
    assert labels.named(PROJECT, 0, "q2") == labels.get(PROJECT, made[2].id) == made[2]
    changed = labels.update(PROJECT, made[2].id, LabelSchemaChange(name="q", input=Numeric(max_value=2)))
    assert (changed.name, changed.input, changed.type) == ("q", Numeric(max_value=2), LabelType.EXPECTATION)
    with pytest.raises(Conflict):
        labels.update(PROJECT, made[2].id, LabelSchemaChange(name="q1"))
    for schema, wrong in (
        (made[2], LabelSchemaChange(input=FreeText())),
        (made[1], LabelSchemaChange(input=Categorical(options=["a"]))),
        (default, LabelSchemaChange(instruction="x")),
    ):
        with pytest.raises(Invalid):
            labels.update(PROJECT, schema.id, wrong)
    with pytest.raises(Invalid):
        labels.delete(PROJECT, default.id)
    labels.delete(PROJECT, made[0].id)
    with pytest.raises(NotFound):
        labels.locate(made[0].id)


def test_traces_wait_in_queues_until_somebody_looked(services: Services, context: Context) -> None:
    """Whoever was first stays; questions are fixed once there is something to review; deleted traces leave."""
    queues = services(ReviewQueues)
    schema = services(LabelSchemas).create(
        PROJECT, NewLabelSchema(experiment=0, name="q", type=LabelType.FEEDBACK, input=FreeText())
    )
    queue = queues.create(
        PROJECT, NewReviewQueue(experiment=0, name=" First ", users=["Ana ", "ana"], schemas=[schema.id])
    )
    own = queues.of_user(PROJECT, UserQueue(experiment=0, user="Bo"))

    assert (queue.name, queue.users, queue.schemas, queue.created_by) == ("First", ["ana"], [schema.id], None)
    assert queues.of_user(PROJECT, UserQueue(experiment=0, user="bo")) == own
    assert (own.type, own.users, own.created_by) == (QueueType.USER, ["bo"], "bo")
    assert queues.named(PROJECT, 0, "fIRST") == queue
    with pytest.raises(Conflict):
        queues.create(PROJECT, NewReviewQueue(experiment=0, name="FIRST"))
    with pytest.raises(Conflict):
        queues.update(PROJECT, queue.id, ReviewQueueChange(name="BO"))
    one, two = trace(context, "tr-1"), trace(context, "tr-2")
    number = services(Experiments).create(PROJECT, NewExperiment(name="other")).number
    with pytest.raises(ReviewItemsUnknown):
        queues.add(PROJECT, queue.id, ReviewItems(ids=[one, trace(context, "tr-3", number)]))
    added = queues.add(PROJECT, queue.id, ReviewItems(ids=[two, one, two])).items
    assert [(each.id, each.status) for each in added] == [
        (two, ReviewStatus.PENDING),
        (one, ReviewStatus.PENDING),
    ]
    done = queues.review(PROJECT, queue.id, one, ReviewOutcome(status=ReviewStatus.COMPLETE, by="Ana"))
    again = queues.review(PROJECT, queue.id, one, ReviewOutcome(status=ReviewStatus.COMPLETE, by="bo"))
    assert (done.completed_by, again) == ("ana", done)
    page = queues.items(PROJECT, queue.id, limit=1)
    assert [page.items[0].id, queues.items(PROJECT, queue.id, None, 1, page.next).items[0].id] == [one, two]
    assert [each.id for each in queues.items(PROJECT, queue.id, ReviewStatus.PENDING).items] == [two]
    assert queues.list(PROJECT, 0, "ANA").items == queues.list(PROJECT, 0, item=one).items == [queue]
    with pytest.raises(Invalid):
        queues.update(PROJECT, queue.id, ReviewQueueChange(schemas=[]))

    deletion = TraceDeletion(experiment=0, ids=[one])
    services(Traces).delete(PROJECT, deletion)
    assert [each.id for each in queues.items(PROJECT, queue.id).items] == [two]
    queues.delete(PROJECT, queue.id)
    with context.database.read() as connection:
        for table, left in ((review_queues, 1), (review_queue_items, 0)):
            assert connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() == left


def test_who_signed_in_is_the_one_who_looked(context: Context) -> None:
    """Whatever the client says; others see nothing of the project."""
    trace(context, "tr-1")
    ana = context.acting_as(Principal(name="ana", project_roles={PROJECT: Role.SCIENTIST})).service(
        ReviewQueues
    )
    queue = ana.create(PROJECT, NewReviewQueue(experiment=0, name="q", created_by="eve"))
    ana.add(PROJECT, queue.id, ReviewItems(ids=["tr-1"]))
    done = ana.review(PROJECT, queue.id, "tr-1", ReviewOutcome(status=ReviewStatus.DECLINED, by="eve"))

    assert (queue.created_by, done.completed_by) == ("ana", "ana")
    eve = context.acting_as(Principal(name="eve"))
    with pytest.raises(NotFound):
        eve.service(ReviewQueues).locate(queue.id)
    assert eve.service(Scorers).search(ScorerSearch()).items == []
