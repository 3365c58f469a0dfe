"""Whatever the runs, the filter, the order and the pages: the plans find what the meaning of the filter says."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import currently_in_test_context, given, note, settings
from hypothesis import strategies as st

from noria.access.tables import projects
from noria.core.clock import SystemClock
from noria.core.database.engine import Database
from noria.core.database.migrate import migrate
from noria.core.events.log import EventType, append
from noria.core.events.sealer import assign_positions
from noria.core.events.tables import event_cursors, events
from noria.tracking.batches import write_batch
from noria.tracking.entities import Lifecycle, LogBatch
from noria.tracking.events import RUN_CREATED, RUN_UPDATED
from noria.tracking.run_keys import RunKey
from noria.tracking.search.evaluate import Facts, matches, order_key
from noria.tracking.search.grammar import ATTRIBUTE
from noria.tracking.search.plan import Costs
from noria.tracking.search.runs import RunQuery, count_runs, parse_query, search_runs
from noria.tracking.tables import metric_latest, run_counts, run_params, run_tags
from noria.tracking.tables import runs as stored
from noria.tracking.text_index import Sizes, index_texts
from noria.tracking.text_tables import text_fields, text_grams, text_segments, text_tail
from support.run_store import StoredExperiment, StoredRun, Used, store_runs

fewer = settings(max_examples=max(1, settings().max_examples * 2))
fewest = settings(max_examples=max(1, settings().max_examples // 2))

LONG = "x" * 64
TEXTS = [
    "",
    "a",
    "A",
    "ab",
    "aB",
    "b%",
    "_a",
    "á",
    "a*[?",
    "\\a",
    "it's",
    LONG,
    LONG + "1",
    LONG + "2",
    "z\U0010ffff",
]
NUMBERS = [math.nan, math.inf, -math.inf, 0.0, -0.0, 0.5, 0.1 + 0.2, 0.3, 1.0, 1e300]
PATTERNS = [*TEXTS, "a%", "A%", "%a", "_", "%", "%b%", "a_", LONG + "%", "x%1", "%*%", "z%", "\\%"]
STATUSES = ["running", "finished", "failed", "killed", "scheduled"]
STARTS = [0, 1, 999, 1000, 1001, 2000, 5_000_000]

texts, numbers = st.sampled_from(TEXTS), st.sampled_from(NUMBERS)
runs = st.builds(
    StoredRun,
    id=st.uuids(version=4).map(lambda made: made.hex),
    name=texts,
    status=st.sampled_from(STATUSES),
    started_at=st.sampled_from(STARTS),
    ended_at=st.none() | st.sampled_from(STARTS),
    author=st.sampled_from(["", "ana", "Bo"]),
    deleted=st.booleans() | st.just(value=False),
    metrics=st.dictionaries(st.sampled_from(["m", "a b", "loss"]), numbers, max_size=3),
    params=st.dictionaries(st.sampled_from(["p", "q.r"]), texts, max_size=2),
    tags=st.dictionaries(st.sampled_from(["t", "t", "m", "mlflow.parentRunId"]), texts, max_size=2),
    datasets=st.lists(
        st.builds(
            Used,
            name=st.sampled_from(["d", "e"]),
            digest=st.sampled_from(["1", "2"]),
            context=st.sampled_from([None, "train", "test"]),
        ),
        max_size=2,
        unique_by=lambda used: (used.name, used.digest),
    ).map(tuple),
)


@st.composite
def families(draw: st.DrawFn) -> list[StoredRun]:
    """Give runs of one experiment, some of which were started inside others, and some of which are alike."""
    made = draw(st.lists(runs, max_size=14, unique_by=lambda run: run.id))
    n_alike = draw(st.integers(-12, 12))
    if made:  # often many of one kind
        made += [StoredRun(**{**vars(made[0]), "id": f"{at:032x}"[::-1]}) for at in range(n_alike)]
        made = list({run.id: run for run in made}.values())
    choices = draw(st.lists(st.integers(-20, 20), min_size=len(made), max_size=len(made)))
    parents = [choice if 0 <= choice < at else None for at, choice in enumerate(choices)]
    return [StoredRun(**{**vars(run), "parent": parent}) for run, parent in zip(made, parents, strict=True)]


def quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


KEYED = ["params.p", 'param."q.r"', "parameters.nobody", "tags.t", "tag.m", "tags.`mlflow.runName`"]
MEASURED = ["metrics.m", "metric.`a b`", "metrics.loss", "metrics.nothing"]
TIMES = ["start_time", "attributes.end_time", "Created"]
NAMED = ["run_name", "attributes.user_id", "status", "run.artifact_uri"]
USED = ["datasets.name", "dataset.digest", "datasets.context"]
STATES = ["FINISHED", "RUNNING", "finished", "F%", "%ED", "k%"]

text_values = st.sampled_from(PATTERNS).map(quoted)
text_signs = st.sampled_from(["=", "!=", "LIKE", "ILIKE"])
number_signs = st.sampled_from(["=", "!=", ">", ">=", "<", "<="])
number_values = st.sampled_from([n for n in NUMBERS if math.isfinite(n)]).map(repr) | st.just("1e999")
lists = st.lists(st.sampled_from(["d", "1", "train", "2"]).map(quoted), min_size=1).map(
    lambda all_: f"({', '.join(all_)})"
)

clauses = st.one_of(
    st.tuples(
        st.just("tags.mlflow.parentRunId"),
        text_signs,
        st.sampled_from(["'FIRST'", "'FIRST'", "'a'", "'A%'", "'%'", "'nobody'", "'%FIRST'"]),
    ),
    st.tuples(st.just("tag.`mlflow.parentRunId`"), st.sampled_from(["IS NULL", "is not null"])),
    st.tuples(st.sampled_from(KEYED), text_signs, text_values),
    st.tuples(st.sampled_from(KEYED), st.sampled_from(["IS NULL", "is not null"])),
    st.tuples(st.sampled_from(MEASURED), number_signs, number_values),
    st.tuples(
        st.sampled_from(TIMES), number_signs, st.sampled_from(["0", "0.5", "1", "2", "5000", "-1", "1e30"])
    ),
    st.tuples(st.sampled_from(NAMED), text_signs, text_values | st.sampled_from(STATES).map(quoted)),
    st.tuples(st.sampled_from(USED), text_signs, st.sampled_from(["d", "1", "train", "t%", "%"]).map(quoted)),
    st.tuples(st.sampled_from(USED), st.sampled_from(["IN", "not in"]), lists),
)


@dataclass(frozen=True)
class Known:
    """One stored run with what there is to know of it."""

    pk: int
    run: StoredRun
    facts: Facts


def tell_of(connection: sa.Connection, kind: EventType, ids: list[str]) -> None:
    """Append the event of each of some runs, as those do who write."""
    for run_id in ids:
        append(connection, SystemClock(), actor="ana", type=kind, subject=f"run:{run_id}", project="default")


@dataclass(frozen=True)
class Store:
    """A database that the examples share, each with experiments of its own."""

    database: Database
    project: int

    def fill(self, groups: list[list[StoredRun]]) -> tuple[list[int], list[Known]]:
        """Store runs, and give the integer keys of their experiments."""
        with self.database.write() as connection:
            taken = [self.distinct(group) for group in groups]
            made = [store_runs(connection, self.project, group) for group in taken]
            tell_of(connection, RUN_CREATED, [run.id for group in taken for run in group])
        known = [one for group, place in zip(taken, made, strict=True) for one in _known(group, place)]
        return [place.pk for place in made], known

    def distinct(self, group: list[StoredRun]) -> list[StoredRun]:
        """Give runs new ids."""
        # Ids are unique in a database, and examples repeat themselves.
        return [StoredRun(**{**vars(run), "id": _fresh(run.id)}) for run in group]

    def pages(self, places: list[int], query: RunQuery, limit: int, costs: Costs | None) -> list[int]:
        """Search page by page, to the end, and count what is found."""
        found: list[int] = []
        after = None
        while True:
            with self.database.read() as connection:
                page, after = search_runs(connection, places, query, limit=limit, after=after, costs=costs)
                if after is None:
                    n_counted = count_runs(connection, places, query, len(found) + 2 * limit, costs)
            assert len(page) <= limit
            found += page
            if after is None:
                assert n_counted == len(found)
                return found


_n_made = iter(range(1 << 62))


def _fresh(run_id: str) -> str:
    """Give an id that sorts about as the given one does, and that nobody had before."""
    return run_id[:16] + f"{next(_n_made):016x}"


def _known(group: list[StoredRun], place: StoredExperiment) -> list[Known]:
    return [
        Known(pk, run, run.facts(place.number, None if run.parent is None else group[run.parent].id))
        for pk, run in zip(place.keys, group, strict=True)
    ]


@pytest.fixture(scope="module")
def sqlite_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder: Path = tmp_path_factory.mktemp("search")
    yield from _opened(f"sqlite:///{folder / 'noria.db'}")


@pytest.fixture(scope="module")
def postgres_store(request: pytest.FixtureRequest) -> Iterator[Store]:
    server = request.getfixturevalue("postgres_server")
    with server.fresh_database() as url:
        yield from _opened(url)


@pytest.fixture(scope="module")
def sqlite_stories(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Give a store of its own, which is emptied now and then."""
    yield from _opened(f"sqlite:///{tmp_path_factory.mktemp('stories') / 'noria.db'}")


@pytest.fixture(scope="module")
def postgres_stories(request: pytest.FixtureRequest) -> Iterator[Store]:
    """Give a store of its own, which is emptied now and then."""
    server = request.getfixturevalue("postgres_server")
    with server.fresh_database() as url:
        yield from _opened(url)


def _opened(url: str) -> Iterator[Store]:
    database = Database(url)
    migrate(database, now=SystemClock().now())
    with database.read() as connection:
        project = connection.execute(
            sa.select(projects.c.pk).where(projects.c.name == "default")
        ).scalar_one()
    yield Store(database, project)
    database.dispose()


@dataclass(frozen=True)
class Asked:
    """One search.

    Attributes
    ----------
    filter
        In it `FIRST` is the id of the first run, in which others were started.
    """

    filter: str
    order_by: list[str]
    lifecycle: Lifecycle
    limit: int
    costs: Costs | None


searches = st.builds(
    Asked,
    filter=st.lists(clauses.map(" ".join), max_size=3).map(" and ".join),
    order_by=st.lists(
        st.tuples(
            st.sampled_from(
                [*KEYED, *MEASURED, "status", "user_id", "run_name", "end_time", "start_time", "run_id"]
            )
            | st.sampled_from(["tags.`mlflow.parentRunId`", "attributes.artifact_uri"]),
            st.sampled_from(["", " ASC", " DESC", " desc"]),
        ),
        max_size=3,
        unique_by=lambda order: order[0].partition("`mlflow.runName")[1] or order[0],
    ).map(lambda orders: ["".join(order) for order in orders]),
    lifecycle=st.sampled_from([Lifecycle.ACTIVE, Lifecycle.ACTIVE, Lifecycle.DELETED, Lifecycle.ALL]),
    limit=st.integers(1, 8) | st.just(1000),
    # Small stores never need the ways of large ones, unless these are made out to be cheap.
    costs=st.none()
    | st.builds(
        Costs,
        least_sorted=st.sampled_from([0, 3]),
        test=st.sampled_from([0.001, 1.0, 1000.0]),
        worth_planning=st.sampled_from([0.0, 20.0]),
        least_step=st.sampled_from([2, 3, 5]),
        most_step=st.sampled_from([5, 8, 100]),
        max_set=st.sampled_from([0, 3, 1000]),
        most_merged=st.sampled_from([1, 64]),
        least_foremost=st.sampled_from([0, 1000]),
        least_scanned=st.sampled_from([0, 1000]),
    ),
)


def expected(known: list[Known], asked: Asked, query: RunQuery) -> list[int]:
    """Find runs by looking at each one."""
    wanted = {Lifecycle.ACTIVE: {False}, Lifecycle.DELETED: {True}, Lifecycle.ALL: {False, True}}[
        asked.lifecycle
    ]
    found = [one for one in known if one.run.deleted in wanted and matches(query.clauses, one.facts)]
    found.sort(key=lambda one: (-one.run.started_at, one.run.id))
    found.sort(key=lambda one: order_key(query.orders, _exact_times(one)))
    return [one.pk for one in found]


def _exact_times(one: Known) -> Facts:
    """Give facts for the order, which knows microseconds where filters know milliseconds."""
    times = {"start_time": one.run.started_at, "end_time": one.run.ended_at}
    return Facts(of={**one.facts.of, ATTRIBUTE: {**one.facts.of[ATTRIBUTE], **times}})


def check(store: Store, groups: list[list[StoredRun]], asked: Asked) -> None:
    places, known = store.fill(groups)
    filter_text = asked.filter.replace("FIRST", known[0].run.id if known else "")
    query = parse_query(filter_text, asked.order_by, asked.lifecycle)
    if currently_in_test_context():
        note(f"{[(one.pk, one.run) for one in known]}")

    found = store.pages(places, query, asked.limit, asked.costs)

    assert found == expected(known, asked, query)


@fewer
@given(groups=st.lists(families(), min_size=1, max_size=3), asked=searches)
def test_a_search_finds_what_its_filter_means(
    sqlite_store: Store, groups: list[list[StoredRun]], asked: Asked
) -> None:
    """On SQLite, page by page, in the order asked for, whichever way the plan goes."""
    check(sqlite_store, groups, asked)


@fewest
@given(groups=st.lists(families(), min_size=1, max_size=3), asked=searches)
@pytest.mark.postgres
def test_a_search_finds_the_same_on_postgresql(
    postgres_store: Store, groups: list[list[StoredRun]], asked: Asked
) -> None:
    """On PostgreSQL the same."""
    check(postgres_store, groups, asked)


@pytest.mark.parametrize("direction", ["ASC", "DESC"])
@pytest.mark.parametrize("filter_text", ["", "metrics.m > 3"])
def test_many_texts_that_begin_alike_are_ordered_by_what_follows(
    sqlite_store: Store, direction: str, filter_text: str
) -> None:
    """An index holds the first 64 characters, and does not tell these runs apart however many there are."""
    alike = [
        StoredRun(id=f"{at:032x}", params={"p": f"{LONG}{at % 5}"}, metrics={"m": float(at)}, started_at=at)
        for at in range(40)
    ]
    costs = Costs(least_sorted=0, test=1000.0, least_step=2, most_step=5)
    asked = Asked(filter_text, [f"params.p {direction}"], Lifecycle.ACTIVE, 7, costs)

    check(sqlite_store, [alike], asked)


@pytest.mark.parametrize(
    "store", ["sqlite_store", pytest.param("postgres_store", marks=pytest.mark.postgres)]
)
@pytest.mark.parametrize("direction", ["ASC", "DESC"])
@pytest.mark.parametrize(
    "order",
    ["metrics.m", "metrics.loss", "params.p", "tags.t", "run_name", "user_id", "start_time", "end_time"],
)
def test_many_matches_are_sorted_by_the_database(
    request: pytest.FixtureRequest, store: str, order: str, direction: str
) -> None:
    """Page by page, where many are of one value, NaN, without a value, deleted, or begin alike."""
    groups = [[_of_a_crowd(group, at) for at in range(50)] for group in range(2)]
    costs = Costs(least_sorted=1_000, least_foremost=0, least_step=2)
    for filter_text in ("metrics.loss > 0.1", "metrics.loss >= 0 and params.few != 'b'"):
        asked = Asked(filter_text, [f"{order} {direction}"], Lifecycle.ACTIVE, 5, costs)
        check(request.getfixturevalue(store), groups, asked)


def _of_a_crowd(group: int, at: int) -> StoredRun:
    loss = (at * 37 % 64) / 64
    return StoredRun(
        id=f"{group}{at:031x}",
        name=f"r{at * 7 % 70:02d}",
        author="ana" if at % 9 else "bob",
        started_at=at // 3 * 1_000,
        ended_at=None if at % 8 == 0 else at * 1_000,
        deleted=at % 13 == 5,
        metrics={"loss": loss} | ({} if at % 10 == 3 else {"m": math.nan if at % 10 == 4 else 1 - loss}),
        params={"few": "ab"[at % 5 == 0]} | ({} if at % 11 == 2 else {"p": f"{LONG[at % 4 :]}{at % 6}"}),
        tags={"t": str(at % 12)} if at % 7 else {},
    )


@pytest.mark.parametrize(
    "store", ["sqlite_store", pytest.param("postgres_store", marks=pytest.mark.postgres)]
)
@pytest.mark.parametrize("n_values", [(0, 3), (3, 0, 40), (3, 450), (450, 3), (120, 30, 5, 5, 5, 5)])
@pytest.mark.parametrize("pattern", ["%1%", "v1_", "%3", "%nobody%", "%X%"])
def test_a_pattern_finds_the_same_however_many_values_there_are(
    request: pytest.FixtureRequest, store: str, n_values: tuple[int, ...], pattern: str
) -> None:
    """Few values are compared instead of the runs, many are not, and long ones are not told by what is indexed."""
    groups = [
        [
            StoredRun(
                id=f"{at:032x}",
                params={"p": f"v{at}" if at or group == 0 else LONG + "3"},
                metrics={"m": float(at * 7919 % 450)},
            )
            for at in range(n)
        ]
        for group, n in enumerate(n_values)
    ]
    asked = Asked(f"params.p ILIKE '{pattern}'", ["metrics.m"], Lifecycle.ACTIVE, 50, None)

    check(request.getfixturevalue(store), groups, asked)


PIECES = ["commit", "Commit", "it-0", "t_1", "x" * 300, "ábc", "it's", "a.b-c", "***"]
FORMS = ["%{}%", "{}%", "%{}", "%{}_", "_{}%", "%{}%{}%", "%{}_{}%"]

written = st.builds("".join, st.lists(st.sampled_from([*PIECES, "1", "-", "B"]), max_size=4))
searched = st.tuples(st.sampled_from(FORMS), st.sampled_from(PIECES), st.sampled_from(PIECES)).map(
    lambda parts: parts[0].format(*parts[1:])
)
named_runs = st.builds(
    StoredRun,
    id=st.uuids(version=4).map(lambda made: made.hex),
    name=written,
    deleted=st.booleans(),
    started_at=st.sampled_from(STARTS),
    metrics=st.dictionaries(st.just("m"), numbers),
    params=st.dictionaries(st.just("p"), written),
    tags=st.dictionaries(st.just("t"), written),
)
piece_searches = st.builds(
    Asked,
    filter=st.lists(
        st.tuples(
            st.sampled_from(["params.p", "tags.t", "run_name"]),
            st.sampled_from(["LIKE", "ILIKE"]),
            searched.map(quoted),
        ).map(" ".join),
        min_size=1,
        max_size=2,
    ).map(" and ".join),
    order_by=st.sampled_from([[], ["metrics.m"], ["tags.t DESC"], ["run_name"]]),
    lifecycle=st.sampled_from([Lifecycle.ACTIVE, Lifecycle.DELETED, Lifecycle.ALL]),
    limit=st.sampled_from([2, 1000]),
    costs=st.builds(
        Costs,
        least_scanned=st.just(0),
        least_sorted=st.sampled_from([0, 100]),
        least_step=st.sampled_from([2, 64]),
        worth_planning=st.sampled_from([0.0, 4_000.0]),
        test=st.sampled_from([0.001, 5.0, 1000.0]),
    ),
)


@dataclass(frozen=True)
class Change:
    """What becomes of one of the runs after some of them were indexed.

    Attributes
    ----------
    gone
        Whether it is removed for good.
    n_calls
        How often the index is brought nearer to what there is afterwards.
    """

    at: int
    name: str | None
    tag: str | None
    gone: bool
    n_calls: int


changes = st.builds(
    Change,
    at=st.integers(0, 5),
    name=st.none() | written,
    tag=st.none() | written,
    gone=st.just(value=False) | st.booleans(),
    n_calls=st.integers(0, 2),
)
index_sizes = st.builds(
    Sizes,
    least_runs=st.just(0),
    sampled=st.just(1 << 40),
    least_sampled=st.just(1),
    differing=st.just(0.0),
    segment=st.sampled_from([3, 1 << 20]),
    tail=st.sampled_from([1, 3, 1000]),
    merged=st.sampled_from([2, 16]),
    steps=st.sampled_from([1, 50]),
)


@dataclass(frozen=True, kw_only=True)
class Story:
    """How the index and the runs come to be what they are when they are searched.

    Attributes
    ----------
    anew
        Whether the index is begun anew, or is what the stories before left.
    n_calls
        How often it is brought nearer to what there is, between the first half of the runs and the rest, and after.
    changes
        With what follows on each.
    """

    anew: bool
    sizes: Sizes
    n_calls: tuple[int, int]
    changes: list[Change]


stories = st.builds(
    Story,
    anew=st.booleans(),
    sizes=index_sizes,
    n_calls=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    changes=st.lists(changes, max_size=4),
)


class Teller:
    """Lives a story in a store."""

    def __init__(self, store: Store, story: Story) -> None:
        self._store, self._story = store, story
        self.places: list[int] = []
        self.known: list[Known] = []
        if story.anew:
            self._clear()

    def _clear(self) -> None:
        of_index = (text_tail, text_grams, text_segments, text_fields, event_cursors)
        with self._store.database.write() as connection:
            for table in (*of_index, events, run_params, run_tags, metric_latest, run_counts, stored):
                connection.execute(sa.delete(table))

    def tell(self, groups: list[list[StoredRun]]) -> None:
        """Add runs, index them, change them."""
        half = len(groups) // 2
        self._add(groups[:half])
        self._index(self._story.n_calls[0])
        self._add(groups[half:])
        self._index(self._story.n_calls[1])
        for change in self._story.changes:
            if self.known:
                self._change(change, change.at % len(self.known))
                self._index(change.n_calls)

    def _add(self, groups: list[list[StoredRun]]) -> None:
        with self._store.database.write() as connection:
            taken = [self._store.distinct(group) for group in groups]
            for group in taken:
                place = store_runs(connection, self._store.project, group)
                self.places.append(place.pk)
                self.known += _known(group, place)
                tell_of(connection, RUN_CREATED, [run.id for run in group])

    def _index(self, n_calls: int) -> None:
        for _ in range(n_calls):
            assign_positions(self._store.database)
            index_texts(self._store.database, self._story.sizes)

    def _change(self, change: Change, at: int) -> None:
        one = self.known[at]
        number = int(one.facts.get(ATTRIBUTE, "artifact_uri").split("/")[1])  # type: ignore[union-attr]
        with self._store.database.write() as connection:
            if change.gone:
                self._remove(connection, one)
                del self.known[at]
                return
            place = connection.execute(
                sa.select(stored.c.experiment_pk).where(stored.c.pk == one.pk)
            ).scalar_one()
            write_batch(
                connection,
                SystemClock(),
                project="default",
                run=RunKey(one.pk, place),
                run_id=one.run.id,
                batch=LogBatch(tags={"t": change.tag}),
            )
            name = one.run.name if change.name is None else change.name
            connection.execute(sa.update(stored).where(stored.c.pk == one.pk).values(name=name))
            tell_of(connection, RUN_UPDATED, [one.run.id])
        tags = {} if change.tag is None else {"t": change.tag}
        run = StoredRun(**{**vars(one.run), "tags": tags, "name": name})
        self.known[at] = Known(one.pk, run, run.facts(number, None))

    @staticmethod
    def _remove(connection: sa.Connection, one: Known) -> None:
        for table in (run_params, run_tags, metric_latest):
            connection.execute(sa.delete(table).where(table.c.run_pk == one.pk))
        counted = (
            (
                run_counts.c.experiment_pk
                == sa.select(stored.c.experiment_pk).where(stored.c.pk == one.pk).scalar_subquery()
            )
            & (run_counts.c.is_deleted == int(one.run.deleted))
            & (run_counts.c.status == one.run.status)
        )
        connection.execute(sa.update(run_counts).where(counted).values(n_runs=run_counts.c.n_runs - 1))
        connection.execute(sa.delete(stored).where(stored.c.pk == one.pk))


def check_story(store: Store, groups: list[list[StoredRun]], story: Story, asked: list[Asked]) -> None:
    teller = Teller(store, story)
    teller.tell(groups)
    for one in asked:
        query = parse_query(one.filter, one.order_by, one.lifecycle)

        found = store.pages(teller.places, query, one.limit, one.costs)

        assert found == expected(teller.known, one, query)


told = st.lists(st.lists(named_runs, max_size=6, unique_by=lambda run: run.id), min_size=1, max_size=3)
several_searches = st.lists(piece_searches, min_size=1, max_size=4)


@fewer
@given(groups=told, story=stories, asked=several_searches)
def test_a_piece_of_a_text_is_found_however_far_the_index_is(
    sqlite_stories: Store, groups: list[list[StoredRun]], story: Story, asked: list[Asked]
) -> None:
    """Not indexed, half, wholly, and then changed or removed: what the index does not know is looked at."""
    check_story(sqlite_stories, groups, story, asked)


@fewest
@given(groups=told, story=stories, asked=several_searches)
@pytest.mark.postgres
def test_a_piece_of_a_text_is_found_on_postgresql_however_far_the_index_is(
    postgres_stories: Store, groups: list[list[StoredRun]], story: Story, asked: list[Asked]
) -> None:
    """On PostgreSQL the same."""
    check_story(postgres_stories, groups, story, asked)
