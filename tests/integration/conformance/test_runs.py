"""What the services of experiments and runs promise, over each transport and on each database."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
import sqlalchemy as sa

from noria.access.projects import NewProject, Projects
from noria.core.context import Context
from noria.core.errors import Conflict, Invalid, NotFound, TooLarge
from noria.core.events.tables import events
from noria.core.ids import new_id
from noria.core.objects.references import ObjectNotInProject
from noria.core.objects.service import Objects
from noria.tracking.batches import ParamChanged
from noria.tracking.entities import Link, LogBatch, NewRun, Run, RunEnd, RunSource, RunStatus
from noria.tracking.experiment_entities import NewExperiment
from noria.tracking.lifecycle import RunStatusConflict
from noria.tracking.point_entities import MetricPoint
from noria.tracking.run_keys import RunNotFound
from noria.tracking.service import Experiments, Runs
from support.conformance import Services

PROJECT = "default"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def point(key: str, value: float, step: int = 0, second: float = 0.0) -> MetricPoint:
    return MetricPoint(key=key, value=value, step=step, at=NOON + timedelta(seconds=second))


def ended(runs: Runs, name: str, **fields: object) -> Run:
    made = runs.create(PROJECT, NewRun(name=name, **fields))  # type: ignore[arg-type]
    return runs.finish(PROJECT, made.id, RunEnd())


def test_the_default_experiment_exists_from_the_start(services: Services) -> None:
    """A new workspace has the experiment `Default` with the number 0."""
    experiments = services(Experiments)
    listed = experiments.list(PROJECT)

    assert [(e.name, e.number) for e in listed.items] == [("Default", 0)]
    assert listed.next is None
    assert experiments.get(PROJECT, "Default") == listed.items[0]


def test_experiments_count_up_in_the_workspace(services: Services) -> None:
    """Numbers go on across projects; the list is newest first and pages without gaps."""
    services(Projects).create(NewProject(name="energy"))
    experiments = services(Experiments)
    numbers = [experiments.create(PROJECT, NewExperiment(name=name)).number for name in ("a", "b/c d", "é")]
    other = experiments.create("energy", NewExperiment(name="a"))
    first = experiments.list(PROJECT, limit=2)
    second = experiments.list(PROJECT, limit=2, before=first.next)

    assert numbers == [1, 2, 3]
    assert other.number == 4
    assert [e.name for e in first.items] == ["é", "b/c d"]
    assert [e.name for e in second.items] == ["a", "Default"]
    assert second.next is None
    assert experiments.get(PROJECT, "b/c d").number == 2


def test_an_experiment_made_twice_is_a_conflict(services: Services) -> None:
    """A second experiment of one name in one project is refused."""
    services(Experiments).create(PROJECT, NewExperiment(name="digits"))

    with pytest.raises(Conflict, match="`digits`"):
        services(Experiments).create(PROJECT, NewExperiment(name="digits"))


def test_experiments_made_at_once_get_different_numbers(services: Services) -> None:
    """Eight callers that make experiments at the same time get eight numbers."""
    experiments = services(Experiments)
    with ThreadPoolExecutor(8) as pool:
        made = list(
            pool.map(lambda i: experiments.create(PROJECT, NewExperiment(name=f"e{i}")).number, range(8))
        )

    assert sorted(made) == list(range(1, 9))


def test_a_name_that_is_no_line_of_text_is_refused(services: Services) -> None:
    """Names of experiments and runs are one line of text of at most 500 characters."""
    for name in ("", "   ", "two\nlines", "x" * 501):
        with pytest.raises(Invalid):
            services(Experiments).create(PROJECT, NewExperiment(name=name))
        with pytest.raises(Invalid):
            services(Runs).create(PROJECT, NewRun(name=name))
    assert [e.name for e in services(Experiments).list(PROJECT).items] == ["Default"]
    assert services(Runs).list(PROJECT).items == []


def test_an_unknown_experiment_suggests_the_near_one(services: Services) -> None:
    """Asking for a misspelt experiment names the one that was probably meant."""
    services(Experiments).create(PROJECT, NewExperiment(name="digits"))

    with pytest.raises(NotFound, match="`digts`") as caught:
        services(Experiments).get(PROJECT, "digts")
    assert "`digits`" in (caught.value.hint or "")
    with pytest.raises(NotFound, match="`digts`"):
        services(Runs).list(PROJECT, experiment="digts")


def test_a_run_keeps_all_that_it_was_given(services: Services) -> None:
    """Params, tags, source, parent and author of a new run come back as they were."""
    runs = services(Runs)
    parent = runs.create(PROJECT, NewRun(name="search"))
    source = RunSource(git_commit="a" * 40, git_dirty=True, command="train.py --lr 0.1", python="3.12.1")
    made = runs.create(
        PROJECT,
        NewRun(
            experiment="digits",
            name="first try",
            parent=parent.id,
            params={"lr": "0.1", "π/α": "ü"},
            tags={"team": "vision"},
            source=source,
            started_at=NOON,
            author="ana",
        ),
    )

    assert made == runs.get(PROJECT, made.id)
    assert made.experiment == "digits"
    assert made.name == "first try"
    assert made.parent == parent.id
    assert made.status is RunStatus.RUNNING
    assert made.started_at == NOON
    assert made.ended_at is None
    assert made.params == {"lr": "0.1", "π/α": "ü"}
    assert made.tags == {"team": "vision"}
    assert made.source == source
    assert made.author == "ana"


def test_a_run_made_twice_with_one_id_is_one_run(services: Services) -> None:
    """A request that is repeated with the same id gives the run of the first."""
    runs = services(Runs)
    new = NewRun(id=new_id(), name="once", params={"lr": "0.1"})

    assert runs.create(PROJECT, new) == runs.create(PROJECT, new)
    assert len(runs.list(PROJECT).items) == 1


def test_an_id_of_another_project_is_not_found(services: Services) -> None:
    """A run is seen in its own project only."""
    services(Projects).create(NewProject(name="energy"))
    runs = services(Runs)
    made = runs.create(PROJECT, NewRun())

    with pytest.raises(RunNotFound, match=made.id):
        runs.get("energy", made.id)
    with pytest.raises(RunNotFound):
        runs.log("energy", made.id, LogBatch(tags={"a": "b"}))
    with pytest.raises(RunNotFound):
        runs.create("energy", NewRun(parent=made.id))


def test_an_unknown_run_is_not_found(services: Services) -> None:
    """Whatever is asked for as a run's id, the answer is that there is none."""
    for run_id in ("x", "0" * 32, "a/b", "..", "é"):
        with pytest.raises(RunNotFound):
            services(Runs).get(PROJECT, run_id)
    with pytest.raises((RunNotFound, Invalid)):
        services(Runs).get(PROJECT, "a\x00b")


def test_an_unknown_project_is_named(services: Services) -> None:
    """A misspelt project is the error, not the run."""
    with pytest.raises(NotFound, match="project `defalt`"):
        services(Runs).get("defalt", new_id())
    with pytest.raises(NotFound, match="project `defalt`"):
        services(Runs).list("defalt")


def test_metrics_come_back_in_order_with_nan_and_infinities(services: Services) -> None:
    """A history keeps every point by step, then time; NaN and infinities are kept as they are."""
    runs = services(Runs)
    run = runs.create(PROJECT, NewRun())
    values = [0.5, math.nan, math.inf, -math.inf, -0.25, 1e300]
    batch = [point("loss", value, step=step) for step, value in enumerate(values)]
    runs.log(PROJECT, run.id, LogBatch(metrics=batch[3:]))
    runs.log(PROJECT, run.id, LogBatch(metrics=batch[:3]))
    history = runs.history(PROJECT, run.id, "loss").items

    assert [p.step for p in history] == [0, 1, 2, 3, 4, 5]
    assert math.isnan(history[1].value)
    assert [p.value for p in history if not math.isnan(p.value)] == [0.5, math.inf, -math.inf, -0.25, 1e300]
    assert [p.at for p in history] == [NOON] * 6
    assert runs.get(PROJECT, run.id).metrics == {"loss": 1e300}


LATEST = [
    ([point("m", 1.0, step=2), point("m", 2.0, step=1, second=9)], 1.0),
    ([point("m", 1.0, step=1, second=1), point("m", 2.0, step=1, second=2)], 2.0),
    ([point("m", 3.0, step=1), point("m", 2.0, step=1)], 3.0),
    ([point("m", -5.0, step=1), point("m", math.nan, step=1)], -5.0),
    ([point("m", 1.0, step=1), point("m", math.inf, step=2)], math.inf),
]


def test_the_latest_value_does_not_depend_on_arrival(services: Services) -> None:
    """The latest value is that of the greatest step, then time, then value, in whichever order points came."""
    runs = services(Runs)
    for points, latest in LATEST:
        for batches in ([points], [points[::-1]], [[p] for p in points], [[p] for p in points[::-1]]):
            run = runs.create(PROJECT, NewRun())
            for batch in batches:
                runs.log(PROJECT, run.id, LogBatch(metrics=batch))

            assert runs.get(PROJECT, run.id).metrics == {"m": latest}
            assert [p.value for p in runs.metrics(PROJECT, run.id).items] == [latest]


def test_a_latest_value_that_is_nan_is_listed_as_nan(services: Services) -> None:
    """A run that diverged shows NaN, not nothing."""
    runs = services(Runs)
    run = runs.create(PROJECT, NewRun())
    runs.log(PROJECT, run.id, LogBatch(metrics=[point("loss", 1.0), point("loss", math.nan, step=1)]))
    (listed,) = runs.list(PROJECT).items

    assert math.isnan(listed.metrics["loss"])
    assert runs.metrics(PROJECT, run.id).items[0].step == 1


def test_a_batch_sent_twice_changes_nothing(services: Services) -> None:
    """A retry after a lost answer leaves one copy of everything."""
    runs = services(Runs)
    run = runs.create(PROJECT, NewRun())
    batch = LogBatch(
        metrics=[point("m", 1.0), point("m", math.nan, step=1), point("n", 2.0)],
        params={"a": "1"},
        tags={"t": "x"},
        inputs=[Link(ref="dataset:digits@1")],
    )
    runs.log(PROJECT, run.id, batch)
    before = runs.get(PROJECT, run.id)
    runs.log(PROJECT, run.id, batch)

    assert msgspec.json.encode(runs.get(PROJECT, run.id)) == msgspec.json.encode(before)
    assert len(runs.history(PROJECT, run.id, "m").items) == 2


def test_history_pages_cover_every_point_once(services: Services) -> None:
    """Pages of a history follow one another without gap or repetition."""
    runs = services(Runs)
    run = runs.create(PROJECT, NewRun())
    batch = [point("m", float(i % 7), step=i // 3, second=i % 2) for i in range(50)]
    runs.log(PROJECT, run.id, LogBatch(metrics=batch))
    whole = runs.history(PROJECT, run.id, "m").items
    paged: list[MetricPoint] = []
    after = None
    while True:
        page = runs.history(PROJECT, run.id, "m", limit=7, after=after)
        paged += page.items
        after = page.next
        if after is None:
            break

    assert paged == whole
    assert len(whole) == len(set(whole)) > 40


def test_a_made_up_page_token_is_refused(services: Services) -> None:
    """A token that no page gave is an error that names it."""
    runs = services(Runs)
    run = runs.create(PROJECT, NewRun())
    runs.log(PROJECT, run.id, LogBatch(metrics=[point("m", 1.0)]))

    for token in ("x", "1_2_3", "1_2_3_zz", "1_2_x_0x0p0", "1e9_2_3_0x0p0", f"{2**70}_2_0_0x0p0"):
        with pytest.raises(Invalid, match="does not continue"):
            runs.history(PROJECT, run.id, "m", after=token)


def test_an_unknown_metric_suggests_the_near_one(services: Services) -> None:
    """A misspelt metric names the one that the run has; a metric of another run is unknown too."""
    runs = services(Runs)
    other, run = runs.create(PROJECT, NewRun()), runs.create(PROJECT, NewRun())
    runs.log(PROJECT, other.id, LogBatch(metrics=[point("recall", 1.0)]))
    runs.log(PROJECT, run.id, LogBatch(metrics=[point("accuracy", 1.0)]))

    with pytest.raises(NotFound) as caught:
        runs.history(PROJECT, run.id, "acuracy")
    assert "`accuracy`" in (caught.value.hint or "")
    with pytest.raises(NotFound, match="`recall`"):
        runs.history(PROJECT, run.id, "recall")


def test_a_param_never_changes(services: Services) -> None:
    """Another value is a conflict that names both; nothing of that batch is kept; the same value is fine."""
    runs = services(Runs)
    run = runs.create(PROJECT, NewRun(params={"lr": "0.1"}))
    runs.log(PROJECT, run.id, LogBatch(params={"lr": "0.1"}))
    batch = LogBatch(params={"depth": "3", "lr": "0.2"}, metrics=[point("m", 1.0)], tags={"t": "x"})

    with pytest.raises(ParamChanged, match=r"`lr`.*`0\.1`.*`0\.2`"):
        runs.log(PROJECT, run.id, batch)
    kept = runs.get(PROJECT, run.id)
    assert (kept.params, kept.metrics, kept.tags) == ({"lr": "0.1"}, {}, {})


def test_tags_change_and_go(services: Services) -> None:
    """A tag takes its newest value, and null removes it; removing one that is not there is fine."""
    runs = services(Runs)
    run = runs.create(PROJECT, NewRun(tags={"stage": "draft", "team": "vision"}))
    runs.log(PROJECT, run.id, LogBatch(tags={"stage": "final", "team": None, "never": None}))

    assert runs.get(PROJECT, run.id).tags == {"stage": "final"}


def test_a_run_ends_once(services: Services) -> None:
    """A run that has ended cannot end again, whichever way; the first end stays."""
    runs = services(Runs)
    ends = (RunStatus.FINISHED, RunStatus.FAILED, RunStatus.KILLED)
    for status in ends:
        run = runs.create(PROJECT, NewRun(started_at=NOON))
        first = runs.finish(PROJECT, run.id, RunEnd(status=status, ended_at=NOON + timedelta(hours=1)))

        for again in ends:
            with pytest.raises(RunStatusConflict, match=f"it is {status}"):
                runs.finish(PROJECT, run.id, RunEnd(status=again))
        assert first.status is status
        assert first.ended_at == NOON + timedelta(hours=1)
        assert runs.get(PROJECT, run.id) == first


def test_of_many_ends_at_once_one_wins(services: Services) -> None:
    """Eight callers that end a run at the same time: one does, seven are told that it has ended."""
    runs = services(Runs)
    run = runs.create(PROJECT, NewRun())

    def end(_: int) -> bool:
        try:
            runs.finish(PROJECT, run.id, RunEnd())
        except RunStatusConflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(end, range(8))) == [False] * 7 + [True]


def test_a_run_cannot_end_as_running_or_before_its_start(services: Services) -> None:
    """An end is an end, and lies after the start."""
    runs = services(Runs)
    run = runs.create(PROJECT, NewRun(started_at=NOON))

    with pytest.raises(Invalid, match="running"):
        runs.finish(PROJECT, run.id, RunEnd(status=RunStatus.RUNNING))
    with pytest.raises(Invalid, match="2026-01-01T11"):
        runs.finish(PROJECT, run.id, RunEnd(ended_at=NOON - timedelta(hours=1)))
    with pytest.raises(Invalid):
        runs.finish(PROJECT, run.id, RunEnd(ended_at=datetime(2026, 2, 1)))  # noqa: DTZ001
    with pytest.raises(Invalid):
        runs.create(PROJECT, NewRun(started_at=datetime(2026, 2, 1)))  # noqa: DTZ001
    assert runs.get(PROJECT, run.id).status is RunStatus.RUNNING


def test_a_run_that_ended_can_go_on(services: Services) -> None:
    """Resuming makes an ended run running again, and leaves a running one as it is."""
    runs = services(Runs)
    run = runs.create(PROJECT, NewRun())
    assert runs.resume(PROJECT, run.id) == run
    runs.finish(PROJECT, run.id, RunEnd(status=RunStatus.KILLED))
    resumed = runs.resume(PROJECT, run.id)

    assert resumed.status is RunStatus.RUNNING
    assert resumed.ended_at is None
    assert runs.finish(PROJECT, run.id, RunEnd()).status is RunStatus.FINISHED


def test_runs_are_listed_newest_first_in_pages(services: Services) -> None:
    """Pages follow one another without gap or repetition, by start, also for equal starts."""
    runs = services(Runs)
    starts = [NOON, NOON, NOON + timedelta(hours=1), NOON - timedelta(hours=1), NOON]
    made = [runs.create(PROJECT, NewRun(name=f"r{i}", started_at=at)) for i, at in enumerate(starts)]
    listed: list[Run] = []
    before = None
    while True:
        page = runs.list(PROJECT, limit=2, before=before)
        listed += page.items
        before = page.next
        if before is None:
            break

    assert [run.name for run in listed] == ["r2", "r4", "r1", "r0", "r3"]
    assert sorted(run.id for run in listed) == sorted(run.id for run in made)


def test_runs_are_filtered(services: Services) -> None:
    """Experiment, status and parent each narrow the list, also together."""
    runs = services(Runs)
    parent = runs.create(PROJECT, NewRun(name="parent", experiment="a"))
    ended(runs, "done", experiment="a", parent=parent.id)
    runs.create(PROJECT, NewRun(name="open", experiment="a", parent=parent.id))
    ended(runs, "elsewhere", experiment="b")

    def names(**filters: object) -> set[str]:
        return {run.name for run in runs.list(PROJECT, **filters).items}  # type: ignore[arg-type]

    assert names(experiment="a") == {"parent", "done", "open"}
    assert names(status=RunStatus.FINISHED) == {"done", "elsewhere"}
    assert names(experiment="a", status=RunStatus.FINISHED) == {"done"}
    assert names(parent=parent.id) == {"done", "open"}
    assert names(parent=parent.id, status=RunStatus.RUNNING) == {"open"}
    assert names() == {"parent", "done", "open", "elsewhere"}


def test_listed_runs_hold_what_got_runs_hold(services: Services) -> None:
    """A page shows each run with its own params, metrics, tags and links."""
    runs = services(Runs)
    for i in range(3):
        run = runs.create(PROJECT, NewRun(params={"i": str(i)}, tags={"t": str(i)}))
        runs.log(
            PROJECT,
            run.id,
            LogBatch(metrics=[point("m", float(i))], outputs=[Link(ref=f"model:digits@{i}", digest="")]),
        )
    listed = runs.list(PROJECT).items

    assert listed == [runs.get(PROJECT, run.id) for run in listed]
    assert [run.metrics["m"] for run in listed] == [2.0, 1.0, 0.0]


def test_comparison_shows_differences_only(services: Services) -> None:
    """What all runs share is left out; what one of them lacks is a difference; NaN equals NaN."""
    runs = services(Runs)
    first = runs.create(PROJECT, NewRun(params={"lr": "0.1", "seed": "1", "only": "x"}))
    second = runs.create(PROJECT, NewRun(params={"lr": "0.2", "seed": "1"}))
    for run, accuracy in ((first, 0.9), (second, 0.8)):
        batch = [point("accuracy", accuracy), point("rows", 100.0), point("loss", math.nan)]
        runs.log(PROJECT, run.id, LogBatch(metrics=batch))
    compared = runs.compare(PROJECT, [second.id, first.id])

    assert compared.params == ["lr", "only"]
    assert compared.metrics == ["accuracy"]
    assert [run.id for run in compared.runs] == [second.id, first.id]
    assert [run.params for run in compared.runs] == [{"lr": "0.2"}, {"lr": "0.1", "only": "x"}]
    assert [run.metrics for run in compared.runs] == [{"accuracy": 0.8}, {"accuracy": 0.9}]


def test_comparison_needs_runs(services: Services) -> None:
    """One run, or too many, or one that is not there cannot be compared."""
    runs = services(Runs)
    run = runs.create(PROJECT, NewRun())

    with pytest.raises(Invalid, match="1 run"):
        runs.compare(PROJECT, [run.id, run.id])
    with pytest.raises(Invalid):
        runs.compare(PROJECT)
    with pytest.raises(Invalid, match="101"):
        runs.compare(PROJECT, [new_id() for _ in range(101)])
    with pytest.raises(RunNotFound):
        runs.compare(PROJECT, [run.id, new_id()])


def test_artifacts_are_kept_listed_and_read(services: Services) -> None:
    """An artifact's bytes come back; paths are listed in order and in pages; a second upload replaces."""
    objects, runs = services(Objects), services(Runs)
    run = runs.create(PROJECT, NewRun())
    digests = [objects.put(PROJECT, [content]).digest for content in (b"one", b"two", b"three")]
    paths = dict(zip(("plots/é.png", "a.txt", "plots/b.png"), digests, strict=True))
    runs.log(PROJECT, run.id, LogBatch(artifacts=paths))
    first = runs.artifacts(PROJECT, run.id, limit=2)
    second = runs.artifacts(PROJECT, run.id, limit=2, after=first.next or "")

    assert [a.path for a in first.items] == ["a.txt", "plots/b.png"]
    assert [(a.path, a.size_bytes) for a in second.items] == [("plots/é.png", 3)]
    assert second.next is None
    assert runs.artifact(PROJECT, run.id, "plots/b.png").read() == b"three"
    runs.log(PROJECT, run.id, LogBatch(artifacts={"a.txt": digests[0]}))
    assert runs.artifact(PROJECT, run.id, "a.txt").read() == b"one"
    with pytest.raises(NotFound, match=r"`b\.png`"):
        runs.artifact(PROJECT, run.id, "b.png")


def test_an_artifact_must_have_entered_the_project(services: Services) -> None:
    """Knowing the digest of another project's object gives no way to it."""
    services(Projects).create(NewProject(name="energy"))
    digest = services(Objects).put("energy", [b"secret"]).digest
    runs = services(Runs)
    run = runs.create(PROJECT, NewRun())

    with pytest.raises(ObjectNotInProject):
        runs.log(PROJECT, run.id, LogBatch(artifacts={"a": digest}, tags={"t": "x"}))
    assert runs.artifacts(PROJECT, run.id).items == []
    assert runs.get(PROJECT, run.id).tags == {}


BAD_BATCHES = {
    "metric key": LogBatch(metrics=[point("../x", 1.0)]),
    "long key": LogBatch(metrics=[point("k" * 251, 1.0)]),
    "empty key": LogBatch(params={"": "x"}),
    "key of spaces": LogBatch(tags={"  ": "x"}),
    "control character": LogBatch(params={"a\nb": "x"}),
    "long param": LogBatch(params={"a": "x" * 6001}),
    "long tag": LogBatch(tags={"a": "x" * 8001}),
    "null character": LogBatch(params={"a": "x\x00"}),
    "too many params": LogBatch(params={f"p{i}": "x" for i in range(1001)}),
    "too many points": LogBatch(metrics=[point("m", 1.0, step=i) for i in range(10_001)]),
    "reference": LogBatch(inputs=[Link(ref="digits")]),
    "digest": LogBatch(outputs=[Link(ref="model:digits@1", digest="abc")]),
    "traversal": LogBatch(artifacts={"../x": "blake3:" + "0" * 64}),
    "absolute path": LogBatch(artifacts={"/etc/passwd": "blake3:" + "0" * 64}),
    "backslash": LogBatch(artifacts={"a\\..\\b": "blake3:" + "0" * 64}),
    "no time zone": LogBatch(metrics=[MetricPoint(key="m", value=1.0, at=datetime(2026, 1, 1))]),  # noqa: DTZ001
    "huge step": LogBatch(metrics=[point("m", 1.0, step=2**70)]),
}


def test_what_passes_a_limit_is_refused_whole(services: Services) -> None:
    """A batch of which anything is wrong is refused, and nothing of it is kept."""
    runs = services(Runs)
    run = runs.create(PROJECT, NewRun())
    for case, batch in BAD_BATCHES.items():
        mixed = msgspec.structs.replace(batch, tags={**batch.tags, "good": "x"})

        with pytest.raises(Invalid):
            runs.log(PROJECT, run.id, mixed)
        assert runs.get(PROJECT, run.id) == run, case


def test_ten_thousand_metric_keys_are_kept(services: Services) -> None:
    """A run may have as many metrics as it likes."""
    runs = services(Runs)
    run = runs.create(PROJECT, NewRun())
    runs.log(PROJECT, run.id, LogBatch(metrics=[point(f"layer/{i}", float(i)) for i in range(10_000)]))

    assert runs.get(PROJECT, run.id).metrics == {f"layer/{i}": float(i) for i in range(10_000)}


def test_writers_at_once_lose_nothing(services: Services) -> None:
    """Eight threads that log new keys to one run at the same time all succeed, and all is kept."""
    runs = services(Runs)
    run = runs.create(PROJECT, NewRun())

    def log(worker: int) -> None:
        for step in range(5):
            batch = [point(f"m{key}", float(worker), step=step * 8 + worker) for key in range(10)]
            runs.log(PROJECT, run.id, LogBatch(metrics=batch, tags={f"worker{worker}": str(step)}))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(log, range(8)))
    kept = runs.get(PROJECT, run.id)
    assert kept.metrics == {f"m{key}": 7.0 for key in range(10)}
    assert kept.tags == {f"worker{worker}": "4" for worker in range(8)}
    assert [p.step for p in runs.history(PROJECT, run.id, "m3").items] == list(range(40))


def test_what_happens_to_a_run_is_in_the_event_log(services: Services, context: Context) -> None:
    """Each change of a run is an event of the transaction that made it; values are not in it, points make none."""
    runs = services(Runs)
    run = runs.create(PROJECT, NewRun(experiment="digits"))
    runs.log(PROJECT, run.id, LogBatch(metrics=[point("m", 1.0)]))
    runs.log(PROJECT, run.id, LogBatch(tags={"note": "private"}, inputs=[Link(ref="dataset:digits@1")]))
    runs.finish(PROJECT, run.id, RunEnd(status=RunStatus.FAILED))
    runs.resume(PROJECT, run.id)
    told = [event for event in _all_events(context) if event[1] == f"run:{run.id}"]

    assert [kind for kind, _, _ in told] == ["run.created", "run.updated", "run.finished", "run.resumed"]
    assert told[1][2] == {"tags": ["note"], "inputs": ["dataset:digits@1"]}
    assert told[2][2]["status"] == "failed"


def _all_events(context: Context) -> list[tuple[str, str, dict[str, object]]]:
    query = sa.select(events.c.type, events.c.subject, events.c.payload).order_by(events.c.seq)
    with context.database.read() as connection:
        return [tuple(row) for row in connection.execute(query)]


def test_too_large_says_the_limit(services: Services) -> None:
    """The message names the limit and the size."""
    runs = services(Runs)
    run = runs.create(PROJECT, NewRun())

    with pytest.raises(TooLarge, match=r"6001 characters; at most 6000"):
        runs.log(PROJECT, run.id, LogBatch(params={"a": "x" * 6001}))
