"""Searches of models and versions, against a reading of each one by itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noria.core.clock import SystemClock
from noria.core.context import Context
from noria.registry.entities import Model, ModelVersion, NewModel, SourceVersion
from noria.registry.filters import MODELS, VERSIONS
from noria.registry.queries import RegistryQuery
from noria.registry.search import Registry
from noria.registry.service import Models
from noria.registry.versions import ModelVersions
from noria.tracking.search.evaluate import Fact, Facts, matches, order_key
from noria.tracking.search.grammar import Grammar, Order
from support.conformance import open_test_context, workspace_settings

PROJECT = "default"
NAMES = ("a", "A", "ab", "a_b", "a%b", "a*b", "[a]", "é", "É", "b c", "B.c", "z\\z")
Known = Sequence[tuple[str, Facts]]
TEXTS = st.sampled_from([*NAMES, "", "%", "_", "a%", "%b", "A_b", "*", "[a]%", "\\", "x"])


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    """Give a workspace of a dozen models with tags, and versions with runs, sources and tags."""
    folder = tmp_path_factory.mktemp("registry")
    with open_test_context(workspace_settings(Path(folder)), SystemClock()) as opened:
        for n, name in enumerate(NAMES):
            tags = {"t": NAMES[n - 1], **({"u": name} if n % 2 else {})}
            opened.service(Models).create(PROJECT, NewModel(name=name, tags=tags))
            for i in range(n % 4):
                new = SourceVersion(
                    source=f"s3://{NAMES[i]}",
                    run_id=NAMES[(n + i) % 5] if i else None,
                    tags={"t": NAMES[(n + i) % 7]} if i < 2 else {},
                )
                opened.service(ModelVersions).register(PROJECT, name, new)
        yield opened


@pytest.fixture(scope="module")
def known_models(context: Context) -> Known:
    """Give what there is to know of each model."""
    return [(m.name, model_facts(m)) for m in context.service(Models).list(PROJECT).items]


@pytest.fixture(scope="module")
def known_versions(context: Context) -> Known:
    """Give what there is to know of each version."""
    models = context.service(Models)
    return [(v.ref, version_facts(v)) for name in NAMES for v in models.versions(PROJECT, name).items]


def clauses(keys: Sequence[str], numbers: Sequence[str] = ()) -> st.SearchStrategy[str]:
    """Draw filters of at most three comparisons."""
    quoted = TEXTS.map(lambda text: "'" + text.replace("'", "''") + "'")
    text = st.tuples(
        st.sampled_from(keys), st.sampled_from(["=", "!=", "LIKE", "ILIKE", "like", "iLike"]), quoted
    )
    number = st.tuples(
        st.sampled_from(numbers or keys),
        st.sampled_from(["=", "!=", "<", "<=", ">", ">="]),
        st.sampled_from("0123"),
    )
    one = (st.one_of(text, number) if numbers else text).map(" ".join)
    return st.lists(one, max_size=3).map(" AND ".join)


def listed(key: str) -> st.SearchStrategy[str]:
    """Draw comparisons with lists of texts."""
    texts = st.lists(TEXTS.filter(bool), min_size=1, max_size=3)
    values = texts.map(lambda some: ", ".join("'" + text.replace("'", "''") + "'" for text in some))
    return st.tuples(st.sampled_from(["IN", "NOT IN"]), values).map(
        lambda pair: f"{key} {pair[0]} ({pair[1]})"
    )


def model_facts(model: Model) -> Facts:
    attributes: dict[str, Fact] = {
        "name": model.name,
        "timestamp": model.updated_at.timestamp(),
    }
    return Facts(of={"attribute": attributes, "tag": model.tags})


def version_facts(version: ModelVersion) -> Facts:
    attributes: dict[str, Fact] = {
        "name": version.model,
        "version_number": version.version,
        "run_id": version.origin.run_id,
        "source_path": version.source,
        "creation_timestamp": version.created_at.timestamp(),
        "last_updated_timestamp": version.updated_at.timestamp(),
    }
    return Facts(of={"attribute": attributes, "tag": version.tags})


def expected(grammar: Grammar, query: RegistryQuery, known: Known, then: Sequence[Order]) -> list[str]:
    """Read each thing by itself, and sort those that fit."""
    wanted = grammar.parse_filter(query.filter)
    orders = list(grammar.parse_orders(query.order_by))
    orders += [order for order in then if order.key not in {each.key for each in orders}]
    fitting = [(key, facts) for key, facts in known if matches(wanted, facts)]
    return [key for key, facts in sorted(fitting, key=lambda pair: order_key(orders, pair[1]))]


BY_NAME = Order(entity="attribute", key="name")
NEWEST = Order(entity="attribute", key="last_updated_timestamp", ascending=False)
BY_NUMBER = Order(entity="attribute", key="version_number", ascending=False)


@given(
    filter_=st.one_of(clauses(["name", "tags.t", "tag.u", "attribute.name"]), listed("name")),
    order_by=st.lists(
        st.sampled_from(["name", "name DESC", "timestamp", "last_updated_timestamp desc"]),
        max_size=2,
        unique_by=lambda text: "name" in text,
    ),
    limit=st.integers(1, 5),
)
def test_models_are_found_as_each_reads_by_itself(
    context: Context, known_models: Known, filter_: str, order_by: list[str], limit: int
) -> None:
    """Filter, order and pages of any size agree with the definition."""
    registry = context.service(Registry)
    query = RegistryQuery(filter=filter_, order_by=order_by, limit=limit)
    found, after = [], None
    while True:
        page = registry.models(RegistryQuery(filter=filter_, order_by=order_by, limit=limit, after=after))
        found += [item.model.name for item in page.items]
        after = page.next
        if after is None:
            break
        assert len(page.items) == limit
    assert found == expected(MODELS, query, known_models, [BY_NAME])


@given(
    filter_=st.one_of(
        clauses(["name", "run_id", "source_path", "tags.t"], ["version_number"]),
        listed("run_id"),
        listed("name"),
    ),
    order_by=st.lists(
        st.sampled_from(["name DESC", "version_number", "creation_timestamp DESC", "last_updated_timestamp"]),
        max_size=3,
        unique=True,
    ),
    limit=st.integers(1, 7),
)
def test_versions_are_found_as_each_reads_by_itself(
    context: Context, known_versions: Known, filter_: str, order_by: list[str], limit: int
) -> None:
    """Filter, order and pages of any size agree with the definition; without an order the last updated comes first."""
    registry = context.service(Registry)
    query = RegistryQuery(filter=filter_, order_by=order_by, limit=limit)
    found, after = [], None
    while True:
        page = registry.versions(RegistryQuery(filter=filter_, order_by=order_by, limit=limit, after=after))
        found += [version.ref for version in page.items]
        after = page.next
        if after is None:
            break
        assert len(page.items) == limit
    first = [] if order_by else [NEWEST]
    assert found == expected(VERSIONS, query, known_versions, [*first, BY_NAME, BY_NUMBER])
