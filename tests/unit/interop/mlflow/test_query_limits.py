"""GraphQL queries that ask for too much are refused before they are executed."""

from __future__ import annotations

from graphql import parse

from noria.interop.mlflow.query_limits import fault_of_query


def fault(query: str) -> str | None:
    return fault_of_query(parse(query))


def test_what_the_page_asks_passes() -> None:
    """Ten fields at the root, ten aliases, ten levels."""
    assert fault("{" + " ".join(f"a{i}: f" for i in range(10)) + "}") is None
    assert fault("{f" * 10 + "}" * 10) is None


def test_each_limit_is_named() -> None:
    """Fields at the root, aliases on one level, depth, and selections in all."""
    assert "at most 10 root fields, got 11" in (fault("{" + "f " * 11 + "}") or "")
    assert "at most 10 aliases, got 11" in (
        fault("{f {" + " ".join(f"a{i}: g" for i in range(11)) + "}}") or ""
    )
    assert "maximum depth of 10" in (fault("{f" * 11 + "}" * 11) or "")
    assert "maximum total selections of 1000" in (fault("{f {" + "g " * 1000 + "}}") or "")


def test_fragments_count_where_they_are_spread() -> None:
    """Also within one another and inline; one that spreads itself comes to an end."""
    spread = "fragment b on Q {x: f y: f z: f} fragment a on Q {...b ... on Q {v: f w: f}}"
    assert fault(f"{{f {{...a u: f}}}} {spread}") is None
    many = " ".join(f"k{i}: f" for i in range(6))
    assert "got 11 aliases" in (fault(f"{{f {{...a {many}}}}} {spread}") or "")
    assert fault("{...a} fragment a on Q {f ...a}") is None
