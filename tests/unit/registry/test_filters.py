"""What filters of models and versions refuse, in the words of MLflow's server."""

from __future__ import annotations

import pytest

from noria.registry.filters import MODELS, VERSIONS, read_filter
from noria.tracking.search.grammar import FilterInvalid, Grammar

LIST = "While parsing a list in the query, expected "
NUMERIC = "{'version_number', 'creation_timestamp', 'last_updated_timestamp'}"
REFUSED: list[tuple[Grammar, str, str]] = [
    (VERSIONS, "run_id IN (", "Invalid clause(s) in filter string: run_id, IN, ("),
    (MODELS, "evilhax = true", "Invalid clause(s) in filter string: evilhax, =, true"),
    (MODELS, "= 'a'", "Invalid clause(s) in filter string: =, 'a'"),
    (MODELS, "name > 'a'", "Invalid comparator for attribute: >"),
    (VERSIONS, "tag.t > 'a'", "Invalid comparator for tag: >"),
    (VERSIONS, "version_number LIKE '2'", "Invalid comparator for attribute version_number: LIKE"),
    (VERSIONS, "version_number = 'x'", "Invalid value for numeric attribute 'version_number': 'x'"),
    (
        VERSIONS,
        f"version_number = '{9**30}'",
        f"Invalid value for numeric attribute 'version_number': '{9**30}'",
    ),
    (VERSIONS, "version_number = 2.5", "Invalid value for numeric attribute 'version_number': 2.5"),
    (
        VERSIONS,
        "version_number IN (1, 2)",
        "Only ['name', 'run_id'] attributes support comparison with a list of quoted string values.",
    ),
    (
        MODELS,
        "name = 5",
        "Expected a quoted string value or a list of quoted string values for attributes. Got value 5",
    ),
    (MODELS, "foo.x = '1'", "Invalid entity type 'foo'. Valid entity types are ('attribute', 'tag', 'tags')"),
    (
        VERSIONS,
        "run_id IN (1,2,3)",
        LIST + "string value, punctuation, or whitespace, but got different type in list: (1, 2, 3)",
    ),
    (
        VERSIONS,
        "run_id IN (1)",
        LIST + "string value, punctuation, or whitespace, but got different type in list: (1,)",
    ),
    (VERSIONS, "name = 'a' OR run_id IN ('b', 'c') OR x", "Invalid clause(s) in filter string: OR, OR, x"),
    (MODELS, "NOT name = 'a' AND name NOT LIKE 'b'", "Invalid clause(s) in filter string: NOT"),
    (MODELS, "(name = 'a')", "Invalid clause(s) in filter string: (name = 'a')"),
    (MODELS, "name = 'a' name = 'b'", "Invalid clause(s) in filter string: name, =, 'a', name, =, 'b'"),
    (
        VERSIONS,
        "source_path = 5",
        f"Only the '{NUMERIC}' attributes support comparison with numeric values.",
    ),
    (VERSIONS, "run_id IN (,)", LIST + "a non-empty list of string values, but got ill-formed list."),
    (VERSIONS, "run_id IN ()", LIST + "a non-empty list of string values, but got empty list"),
]


@pytest.mark.parametrize(("grammar", "text", "message"), REFUSED, ids=[text[:40] for _, text, _ in REFUSED])
def test_a_filter_is_refused(grammar: Grammar, text: str, message: str) -> None:
    """Whoever knows MLflow knows the message."""
    with pytest.raises(FilterInvalid) as raised:
        read_filter(grammar, text)
    assert raised.value.message == message


def test_what_a_filter_cannot_name_is_told_by_what_it_can() -> None:
    """A filter of models knows tags and no metrics; one that is long is refused at once."""
    with pytest.raises(FilterInvalid) as raised:
        read_filter(MODELS, "colour = 'red'")
    assert raised.value.hint == "What is no attribute is named with its kind: `tags.colour`"
    with pytest.raises(FilterInvalid):
        read_filter(MODELS, "name IN (" * 20_000)


def test_the_number_of_a_version_may_stand_between_quotes() -> None:
    """It is a number all the same."""
    clauses = read_filter(VERSIONS, "version_number >= '2' AND version_number < 5").clauses
    assert [(clause.comparator, clause.value) for clause in clauses] == [(">=", 2), ("<", 5)]
