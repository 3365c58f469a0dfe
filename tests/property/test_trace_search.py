"""Whatever the traces, the filter, the order and the pages: a search finds what the filter means, trace by trace."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, note, settings
from hypothesis import strategies as st

from noria.access.tables import projects
from noria.core.clock import SystemClock
from noria.core.database.engine import Database
from noria.core.database.migrate import migrate
from noria.core.database.schema import from_micros
from noria.tracking.traces.assessment_entities import AssessmentKind, NewAssessment
from noria.tracking.traces.entities import NewTrace, Span, SpanBatch, SpanStatus, TraceState
from noria.tracking.traces.places import Place, experiment_in
from noria.tracking.traces.reading import load_traces
from noria.tracking.traces.recording import keep_spans, record
from noria.tracking.traces.searching import matching, read_query, search
from support.run_store import store_runs

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
    "it's",
    LONG,
    LONG + "1",
    LONG + "2",
    "z\U0010ffff",
]
PATTERNS = [*TEXTS, "a%", "A%", "%a", "_", "%", "%b%", "a_", LONG + "%", "x%1", "%*%"]
EXPRESSIONS = ["", "a", "^a", "a$", "^a?b?$", "[ab]{2}", "x+1", "zig|zag", ".", "é"]
NEEDLES = ["zig", "zag", "Zig"]
KINDS = {kind.value: kind for kind in AssessmentKind}

texts = st.sampled_from(TEXTS)
keys = st.sampled_from(["k", "a b", "mlflow.x.y"])
judgements: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict,
    kind=st.sampled_from(["feedback", "expectation"]),
    name=st.sampled_from(["good", "score"]),
    value=st.sampled_from([True, False, 0, 1, 2.5, "a", "ab", "true", None]),
    valid=st.booleans() | st.just(value=True),
    of_session=st.booleans(),
)
spans: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict,
    name=texts,
    type=st.sampled_from([None, "LLM", "TOOL"]),
    status=st.sampled_from(SpanStatus),
    message=st.sampled_from(["", *NEEDLES]),
    attributes=st.dictionaries(
        st.sampled_from(["k", "model.name"]),
        st.sampled_from(["a", "ab", 3, True, {"n": ["zig"]}, LONG * 20]),
        max_size=2,
    ),
)
told: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict,
    started_ms=st.sampled_from([1, 2, 3, 1000]),
    duration_ms=st.sampled_from([None, 0, 1, 2, 500]),
    state=st.sampled_from(TraceState),
    name=st.none() | texts,
    client_request_id=st.none() | texts,
    session=st.none() | st.sampled_from(["s", "t"]),
    tags=st.dictionaries(keys, texts, max_size=2),
    metadata=st.dictionaries(keys | st.just("mlflow.sourceRun"), texts, max_size=2),
    assessments=st.lists(judgements, max_size=2),
    spans=st.lists(spans, max_size=3),
)


@dataclass(frozen=True)
class Made:
    """A stored trace with what there is to know of it."""

    pk: int
    id: str
    place: Place
    told: dict[str, Any]

    @property
    def run(self) -> str | None:
        """The run inside which it was made."""
        run: str | None = self.told["metadata"].get("mlflow.sourceRun")
        return run

    def value(self, field: str) -> Any:
        """Give what an order goes by."""
        entity, _, key = field.partition(".")
        if entity in ("tags", "metadata"):
            return self.told[entity].get(key.strip("`"))
        own = {
            "request_id": self.id,
            "timestamp_ms": self.told["started_ms"],
            "execution_time_ms": self.told["duration_ms"],
            "end_time_ms": self.told["started_ms"] + (self.told["duration_ms"] or 0),
            "status": self.told["state"].value,
            "run_id": self.run,
            "experiment_id": self.place.number,
        }
        return own[field] if field in own else self.told[field]


def quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


Test = Callable[[Any], bool]


def comparison(sign: str, value: Any) -> Test:
    """Give what a comparison says of one value that is there."""
    tests: dict[str, Test] = {
        "=": lambda found: found == value,
        "!=": lambda found: found != value,
        ">": lambda found: found > value,
        ">=": lambda found: found >= value,
        "<": lambda found: found < value,
        "<=": lambda found: found <= value,
        "IN": lambda found: found in value,
        "NOT IN": lambda found: found not in value,
        "LIKE": lambda found: re.fullmatch(wild(value), found, re.DOTALL) is not None,
        "ILIKE": lambda found: (
            re.fullmatch(wild(value), found, re.DOTALL | re.IGNORECASE | re.ASCII) is not None
        ),
        "RLIKE": lambda found: re.search(value.replace("$", "\\Z"), found) is not None,
    }
    return tests[sign]


def wild(pattern: str) -> str:
    return "".join({"%": ".*", "_": "."}.get(char, re.escape(char)) for char in pattern)


@dataclass(frozen=True)
class Clause:
    """A comparison: how it is written, and which of a trace's values it asks."""

    text: str
    of: str
    key: str
    sign: str
    value: Any = None

    def holds(self, trace: Made, every: list[Made]) -> bool:
        """Tell whether it holds for a trace among all of its experiment."""
        if self.of in ("feedback", "expectation"):
            return self._judged(trace, every)
        found = trace.value(self.key)
        if self.sign.endswith("NULL"):
            return (found is None) == (self.sign == "IS NULL")
        return found is not None and comparison(self.sign, self.value)(found)

    def of_span(self, span: dict[str, Any]) -> bool:
        """Tell whether it holds for a span."""
        if self.key == "content":
            everything = json.dumps(span["attributes"], ensure_ascii=False) + "\0" + span["message"]
            needle = self.value.strip("%")
            return needle in everything if self.sign == "LIKE" else needle.lower() in everything.lower()
        if self.of == "attribute of a span":
            if self.key not in span["attributes"]:
                return False
            found = span["attributes"][self.key]
            found = found if isinstance(found, str) else json.dumps(found)
            more = "%" if self.sign in ("LIKE", "ILIKE") else ""
            return comparison(self.sign, self.value + more if more else self.value)(found)
        found = span[self.key]
        found = found.value if isinstance(found, SpanStatus) else found
        return found is not None and comparison(self.sign, self.value)(found)

    def _judged(self, trace: Made, every: list[Made]) -> bool:
        session = trace.told["session"]
        direct = any(map(self._says, trace.told["assessments"]))
        spoken_for = session is not None and any(
            self._says(each)
            for other in every
            if other.told["session"] == session
            for each in other.told["assessments"]
            if each["of_session"]
        )
        return (direct or spoken_for) != (self.sign == "IS NULL")

    def _says(self, judgement: dict[str, Any]) -> bool:
        if (judgement["kind"], judgement["name"], judgement["valid"]) != (self.of, self.key, True):
            return False
        text = json.dumps(judgement["value"])
        if self.sign.endswith("NULL"):
            return True
        if self.sign in ("=", "!="):
            return (text in (self.value, json.dumps(self.value))) == (self.sign == "=")
        if self.sign in (">", ">=", "<", "<="):
            is_number = isinstance(judgement["value"], (int, float)) and not isinstance(
                judgement["value"], bool
            )
            return is_number and comparison(self.sign, self.value)(judgement["value"])
        return comparison(self.sign, self.value)(text)


def clause(of: str, name: str, key: str, sign: str, value: Any = None) -> Clause:
    if isinstance(value, tuple):
        written = "(" + ", ".join(map(quoted, value)) + ")"
    elif isinstance(value, str):
        written = quoted(value)
    else:
        written = "" if value is None else repr(value)
    return Clause(f"{name} {sign} {written}".strip(), of, key, sign, value)


text_signs = st.tuples(st.sampled_from(["=", "!=", "LIKE", "ILIKE"]), st.sampled_from(PATTERNS)) | st.tuples(
    st.just("RLIKE"), st.sampled_from(EXPRESSIONS)
)
list_signs = st.tuples(st.sampled_from(["IN", "NOT IN"]), st.lists(texts, min_size=1, max_size=3).map(tuple))
null_signs = st.tuples(st.sampled_from(["IS NULL", "IS NOT NULL"]), st.none())
number_signs = st.tuples(
    st.sampled_from(["=", "!=", ">", ">=", "<", "<="]), st.sampled_from([0, 1, 2, 3, 500, 1000, 1500])
)


def clauses_on(of: str, names: dict[str, str], signs: st.SearchStrategy[tuple[str, Any]]) -> Any:
    """Give clauses on values that are written by a name and known by a key."""
    return st.builds(
        lambda name, sign: clause(of, name, names[name], *sign), st.sampled_from(sorted(names)), signs
    )


KEYED = {
    "tags.k": "tags.k",
    "tag.`a b`": "tags.a b",
    'tags."mlflow.x.y"': "tags.mlflow.x.y",
    "tags.nobody": "tags.nobody",
    "metadata.k": "metadata.k",
    "request_metadata.mlflow.x.y": "metadata.mlflow.x.y",
    "tags.mlflow.traceName": "name",
    "metadata.`mlflow.trace.session`": "session",
}
TIMES = {
    "timestamp": "timestamp_ms",
    "trace.timestamp_ms": "timestamp_ms",
    "execution_time": "execution_time_ms",
    "attributes.end_time": "end_time_ms",
}
NAMED = {
    "name": "name",
    "trace.client_request_id": "client_request_id",
    "attribute.run_id": "run_id",
}
of_spans = st.one_of(
    clauses_on("span", {"span.name": "name"}, text_signs | list_signs),
    clauses_on(
        "span",
        {"span.type": "type", "span.status": "status"},
        st.tuples(st.sampled_from(["=", "!=", "LIKE"]), st.sampled_from(["LLM", "OK", "ERROR", "%L%"])),
    ),
    clauses_on(
        "attribute of a span",
        {"span.attributes.k": "k", "span.attributes.`model.name`": "model.name"},
        text_signs,
    ),
    clauses_on(
        "span",
        {"span.content": "content", "trace.text": "content"},
        st.tuples(st.sampled_from(["LIKE", "ILIKE"]), st.sampled_from([f"%{needle}%" for needle in NEEDLES])),
    ),
)
judged_signs = st.one_of(
    st.tuples(st.sampled_from(["=", "!=", "LIKE"]), st.sampled_from(["true", "a", "1", "%a%", "2.5"])),
    st.tuples(st.sampled_from([">", ">=", "<", "<="]), st.sampled_from([0, 1, 2.5])),
    null_signs,
)
clauses = st.one_of(
    clauses_on("trace", KEYED, text_signs | null_signs),
    clauses_on("trace", TIMES, number_signs),
    clauses_on("trace", NAMED, text_signs | list_signs | null_signs),
    clauses_on(
        "trace",
        {"status": "status"},
        st.tuples(st.sampled_from(["=", "!=", "LIKE"]), st.sampled_from(["OK", "ERROR", "%O%"])),
    ),
    of_spans,
    clauses_on("feedback", {"feedback.good": "good", "feedback.score": "score"}, judged_signs),
    clauses_on("expectation", {"expectation.good": "good"}, judged_signs),
)
ORDERED = [
    "timestamp_ms",
    "execution_time_ms",
    "end_time_ms",
    "status",
    "name",
    "run_id",
    "request_id",
    "experiment_id",
    "tags.k",
    "metadata.`a b`",
]


@dataclass(frozen=True)
class Asked:
    """One search."""

    clauses: list[Clause]
    orders: list[tuple[str, str]]
    limit: int


searches = st.builds(
    Asked,
    clauses=st.lists(clauses, max_size=3),
    orders=st.lists(
        st.tuples(st.sampled_from(ORDERED), st.sampled_from(["", " ASC", " DESC"])),
        max_size=2,
        unique_by=lambda order: order[0],
    ),
    limit=st.integers(1, 4) | st.just(1000),
)


@dataclass(frozen=True)
class Store:
    """A database that the examples share, each with experiments of its own."""

    database: Database
    project: int

    def fill(self, groups: list[list[dict[str, Any]]]) -> tuple[list[Place], list[Made]]:
        """Store traces, each group in an experiment of its own."""
        places, made = [], []
        with self.database.write() as connection:
            for group in groups:
                number = store_runs(connection, self.project, []).number
                places.append(experiment_in(connection, "default", number))
                made += [stored(connection, places[-1], one) for one in group]
        return places, made

    def pages(self, places: list[Place], asked: Asked) -> list[int]:
        """Search page by page, to the end."""
        query = read_query(filter_of(asked), ["".join(order) for order in asked.orders])
        found: list[int] = []
        after = None
        while True:
            with self.database.read() as connection:
                page = search(connection, places, query, asked.limit, after)
            assert len(page.keys) <= asked.limit
            found += page.keys
            after = page.next
            if after is None:
                return found


def filter_of(asked: Asked) -> str:
    return " AND ".join(each.text for each in asked.clauses)


_n_made = iter(range(1 << 62))


def stored(connection: sa.Connection, place: Place, one: dict[str, Any]) -> Made:
    """Store one trace with its spans."""
    n = next(_n_made)
    trace_id = f"tr-{n * 7919 % 1_000_003:06d}-{n}"
    if one["spans"]:
        batch = [span_of(trace_id, at, each) for at, each in enumerate(one["spans"])]
        keep_spans(connection, "default", SpanBatch(experiment=place.number, spans=batch))
    assessments = [
        NewAssessment(
            name=each["name"],
            kind=KINDS[each["kind"]],
            value=each["value"],
            valid=each["valid"],
            metadata={"mlflow.trace.session": "s"} if each["of_session"] else {},
        )
        for each in one["assessments"]
    ]
    fields = ("duration_ms", "state", "name", "client_request_id", "session", "tags", "metadata")
    new = NewTrace(
        id=trace_id,
        experiment=place.number,
        started_at=from_micros(one["started_ms"] * 1000),
        assessments=assessments,
        **{field: one[field] for field in fields},
    )
    pk = record(connection, SystemClock(), "default", new)
    kept = load_traces(connection, [pk])[0]
    return Made(pk, trace_id, place, {**one, "name": kept.name})


def span_of(trace_id: str, at: int, one: dict[str, Any]) -> Span:
    kind = {} if one["type"] is None else {"mlflow.spanType": one["type"]}
    return Span(
        trace_id=trace_id,
        id=f"{at:016x}",
        parent="ffff",
        name=one["name"],
        started_ns=at,
        status=one["status"],
        message=one["message"],
        attributes={**one["attributes"], **kind},
    )


def expected(made: list[Made], asked: Asked) -> list[int]:
    """Find traces by looking at each one."""
    on_spans = [each for each in asked.clauses if "span" in each.of]
    others = [each for each in asked.clauses if "span" not in each.of]

    def fits(one: Made) -> bool:
        every = [other for other in made if other.place == one.place]
        return all(each.holds(one, every) for each in others) and (
            not on_spans or any(all(each.of_span(span) for each in on_spans) for span in one.told["spans"])
        )

    found = sorted(filter(fits, made), key=lambda one: (-one.told["started_ms"], one.id))
    for field, direction in reversed(asked.orders):
        there = [one for one in found if one.value(field) is not None]
        missing = [one for one in found if one.value(field) is None]
        there.sort(key=lambda one: one.value(field), reverse="DESC" in direction)
        found = there + missing
    return [one.pk for one in found]


def check(store: Store, groups: list[list[dict[str, Any]]], asked: Asked) -> None:
    places, made = store.fill(groups)
    note(f"{filter_of(asked)}\n" + "\n".join(f"{one.pk}: {one.id} {one.told}" for one in made))

    assert store.pages(places, asked) == expected(made, asked)
    with store.database.read() as connection:
        clauses = read_query(filter_of(asked), []).clauses
        assert matching(connection, places, clauses) == set(expected(made, asked))


@pytest.fixture(scope="module")
def sqlite_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder: Path = tmp_path_factory.mktemp("traces")
    yield from _opened(f"sqlite:///{folder / 'noria.db'}")


@pytest.fixture(scope="module")
def postgres_store(request: pytest.FixtureRequest) -> Iterator[Store]:
    server = request.getfixturevalue("postgres_server")
    with server.fresh_database() as url:
        yield from _opened(url)


def _opened(url: str) -> Iterator[Store]:
    database = Database(url)
    migrate(database, now=SystemClock().now())
    with database.read() as connection:
        query = sa.select(projects.c.pk).where(projects.c.name == "default")
        project = connection.execute(query).scalar_one()
    yield Store(database, project)
    database.dispose()


some = st.lists(st.lists(told, max_size=6), min_size=1, max_size=2)


@given(groups=some, asked=searches)
def test_a_search_finds_what_its_filter_means(
    sqlite_store: Store, groups: list[list[dict[str, Any]]], asked: Asked
) -> None:
    """On SQLite, page by page, in the order asked for."""
    check(sqlite_store, groups, asked)


@fewest
@given(groups=some, asked=searches)
@pytest.mark.postgres
def test_a_search_finds_the_same_on_postgresql(
    postgres_store: Store, groups: list[list[dict[str, Any]]], asked: Asked
) -> None:
    """On PostgreSQL the same."""
    check(postgres_store, groups, asked)
