"""Filters and orders of models and versions, as conditions of SQL."""

from __future__ import annotations

import base64
import binascii
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from noria.access.tables import projects
from noria.core.database.patterns import ilike, like
from noria.registry.prompts import PROMPT_TAG, without_prompt_versions, without_prompts
from noria.registry.tables import model_tags, model_version_tags, model_versions, models
from noria.tracking.search.grammar import (
    ATTRIBUTE,
    TEXT_COMPARATORS,
    Clause,
    Entity,
    Field,
    FilterInvalid,
    Grammar,
    Value,
)
from noria.tracking.search.page_tokens import PageTokenInvalid
from noria.tracking.search.tokens import Kind, Token

TAG: Final = "tag"
_TAGS = Entity(name=TAG, also=("tags",), comparators=TEXT_COMPARATORS, orderable=False)
_MAX_DIGITS: Final = 18
_UPDATED = Field(key="last_updated_timestamp", numeric=True, searchable=False)


class RegistryGrammar(Grammar):
    """The grammar of the registry, which says some things in other words than that of runs, as MLflow does."""

    def comparator_refused(self, entity: Entity, named: Field, comparator: str) -> FilterInvalid:
        """Say that a field cannot be compared in this way."""
        what = f"{entity.name} {named.key}" if named.numeric else entity.name
        return FilterInvalid(f"Invalid comparator for {what}: {comparator}")

    def entity_refused(self, kind: str) -> FilterInvalid:
        """Say that there is no such kind of things."""
        valid = tuple([name for entity in self.entities for name in (entity.name, *entity.also)])
        return FilterInvalid(f"Invalid entity type '{kind}'. Valid entity types are {valid}")

    def value(self, entity: Entity, named: Field, token: Token) -> Value:
        """Read what a field is compared with. A whole number may stand between quotes."""
        if not named.numeric:
            if entity.name == ATTRIBUTE and token.kind is Kind.NUMBER:
                raise _no_number(entity, token.text)
            return super().value(entity, named, token)
        if token.kind is Kind.LIST:
            valid = sorted(one.key for one in entity.fields if one.lists)
            raise FilterInvalid(
                f"Only {valid} {entity.name}s support comparison with a list of quoted string values."
            )
        if token.kind is Kind.TEXT:
            if not token.value.strip().isdecimal() or len(token.value) > _MAX_DIGITS:
                raise _not_a_number(named.key, token.value)
            return int(token.value)
        number = super().value(entity, named, token)
        if isinstance(number, float):
            raise _not_a_number(named.key, number)
        return number


MODELS: Final = RegistryGrammar(
    quotes_clauses=False,
    entities=(
        Entity(
            name=ATTRIBUTE,
            fields=(
                Field(key="name", lists=True),
                Field(key="timestamp", also=("last_updated_timestamp",), numeric=True, searchable=False),
            ),
        ),
        _TAGS,
    ),
)
VERSIONS: Final = RegistryGrammar(
    quotes_clauses=False,
    entities=(
        Entity(
            name=ATTRIBUTE,
            fields=(
                Field(key="name", lists=True),
                Field(key="version_number", numeric=True),
                Field(key="run_id", lists=True, orderable=False),
                Field(key="source_path", comparators=TEXT_COMPARATORS, orderable=False),
                Field(key="creation_timestamp", numeric=True, searchable=False),
                _UPDATED,
            ),
        ),
        _TAGS,
    ),
)

Condition = sa.ColumnElement[bool]
_COMPARE: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "IN": lambda column, values: column.in_(values),
    "NOT IN": lambda column, values: column.not_in(values),
}


@dataclass(frozen=True, slots=True)
class Term:
    """Something that a search is ordered by; never null."""

    value: Any
    ascending: bool
    kind: type[int] | type[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A search of models or of versions.

    Attributes
    ----------
    clauses
        Without those that only say that prompts are not wanted.
    prompts
        Whether prompts are asked for.
    """

    clauses: tuple[Clause, ...]
    prompts: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Where a search looks.

    Attributes
    ----------
    dialect
        Of the database.
    projects
        Name of each project that the caller may read, by key.
    home
        Project whose models have plain names.
    """

    dialect: str
    projects: Mapping[int, str]
    home: str

    @property
    def names(self) -> Any:
        """The name of each model for whoever knows no projects; see `queries.shown_name`."""
        if list(self.projects.values()) == [self.home]:
            return models.c.name
        full = projects.c.name + "." + models.c.name
        name = sa.case((projects.c.name == self.home, models.c.name), else_=full)
        return name if self.dialect == "sqlite" else sa.collate(name, "C")

    def models(self) -> Condition:
        """Say that a model is in one of the projects, for a search that begins with models."""
        return models.c.project_pk.in_(self.projects)

    def versions(self, search: Search) -> Condition:
        """Say the same for a search of versions.

        Without the name of a model there are few versions to show and many to look at: SQLite shall walk them in the
        order that is asked for, rather than sort all versions of all models, to which the index of projects tempts it.
        """
        names = (
            clause.comparator
            for clause in search.clauses
            if (clause.entity, clause.key) == (ATTRIBUTE, "name")
        )
        if any(comparator not in ("!=", "NOT IN") for comparator in names):
            return self.models()
        return (models.c.project_pk + 0).in_(self.projects)


def read_filter(grammar: Grammar, text: str) -> Search:
    """Read a filter; prompts are found only by one that asks for their tag."""
    clauses = grammar.parse_filter(text)
    marked = [clause for clause in clauses if clause.entity == TAG and clause.key == PROMPT_TAG]
    if marked and (marked[0].comparator, str(marked[0].value).lower()) in (("=", "true"), ("!=", "false")):
        return Search(clauses=clauses, prompts=True)
    return Search(clauses=tuple([clause for clause in clauses if clause not in marked]), prompts=False)


def model_conditions(scope: Scope, search: Search) -> list[Condition]:
    """Give what models must fulfil."""
    name = scope.names
    found = []
    for clause in search.clauses:
        if clause.entity == TAG:
            found.append(_tagged(scope.dialect, model_tags.c.model_pk, models.c.pk, clause))
        else:
            found.append(_compare(scope.dialect, name, clause))
    if not search.prompts:
        found.append(without_prompts())
    return found


def version_conditions(scope: Scope, search: Search) -> list[Condition]:
    """Give what versions must fulfil."""
    columns: dict[str, Any] = {
        "name": scope.names,
        "version_number": model_versions.c.version,
        "run_id": model_versions.c.run_id,
        "source_path": model_versions.c.source,
    }
    found = []
    for clause in search.clauses:
        if clause.entity == TAG:
            found.append(_tagged(scope.dialect, model_version_tags.c.version_pk, model_versions.c.pk, clause))
        else:
            found.append(_compare(scope.dialect, columns[clause.key], clause))
    if not search.prompts:
        found.append(without_prompt_versions())
    return found


def model_terms(scope: Scope, order_by: Sequence[str]) -> list[Term]:
    """Give what models are ordered by, ending in their names."""
    name = Term(scope.names, True, str)
    terms = []
    try:
        orders = MODELS.parse_orders(order_by)
    except FilterInvalid as error:
        # MLflow has other words for this than for versions.
        raise FilterInvalid(
            error.message.replace("Invalid attribute key", "Invalid order by key"), hint=error.hint
        ) from error
    for order in orders:
        if order.key == "name":
            name = Term(name.value, order.ascending, str)
            terms.append(name)
        else:
            terms.append(Term(_micros(models.c.updated_at), order.ascending, int))
    # Models of two projects can have one shown name.
    return [*terms, *([] if name in terms else [name]), Term(models.c.pk, True, int)]


def version_terms(scope: Scope, order_by: Sequence[str]) -> list[Term]:
    """Give what versions are ordered by, ending in name and number; the last updated first when nothing is asked."""
    columns: dict[str, tuple[Any, type[int] | type[str]]] = {
        "name": (scope.names, str),
        "version_number": (model_versions.c.version, int),
        "creation_timestamp": (_micros(model_versions.c.created_at), int),
        "last_updated_timestamp": (_micros(model_versions.c.updated_at), int),
    }
    chosen = {
        one.key: one.ascending for one in VERSIONS.parse_orders(order_by or ["last_updated_timestamp DESC"])
    }
    chosen.setdefault("name", True)
    chosen.setdefault("version_number", False)
    terms = [Term(columns[key][0], ascending, columns[key][1]) for key, ascending in chosen.items()]
    return [*terms, Term(model_versions.c.pk, True, int)]


def follows(terms: Sequence[Term], last: Sequence[Any]) -> Condition:
    """Say that a row comes after the one with the values `last`."""
    first = terms[0].value
    # The choices alone would not tell the database where in an index to begin.
    bound = first >= last[0] if terms[0].ascending else first <= last[0]
    choices: list[Condition] = []
    equal: Condition = sa.true()
    for term, value in zip(terms, last, strict=True):
        choices.append(sa.and_(equal, term.value > value if term.ascending else term.value < value))
        equal = sa.and_(equal, term.value == value)
    return sa.and_(bound, sa.or_(*choices))


def ordered(terms: Sequence[Term]) -> list[Any]:
    """Give the order as SQL has it."""
    return [term.value.asc() if term.ascending else term.value.desc() for term in terms]


def write_token(last: Sequence[Any]) -> str:
    """Give the token of the page that follows a row with these values."""
    return base64.urlsafe_b64encode(msgspec.json.encode(list(last))).decode()


def read_token(token: str | None, terms: Sequence[Term]) -> list[Any] | None:
    """Read where a page begins; None for the first.

    Raises
    ------
    PageTokenInvalid
        If the search gave no such token.
    """
    if not token:
        return None
    try:
        text = base64.b64decode(token, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise PageTokenInvalid("Invalid page token, could not base64-decode") from error
    try:
        last = msgspec.json.decode(text, type=list[int | str])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise PageTokenInvalid("Invalid page token: it is of another kind of search") from error
    if [type(value) for value in last] != [term.kind for term in terms]:
        raise PageTokenInvalid("Invalid page token: it is of a search in another order")
    return last


def _compare(dialect: str, column: Any, clause: Clause) -> Condition:
    if clause.comparator in ("LIKE", "ILIKE"):
        compare = like if clause.comparator == "LIKE" else ilike
        return compare(dialect, column, str(clause.value))
    found: Condition = _COMPARE[clause.comparator](column, clause.value)
    return found


def _no_number(entity: Entity, text: str) -> FilterInvalid:
    numeric = ", ".join(f"'{one.key}'" for one in entity.fields if one.numeric)
    if not any(one.numeric and one.searchable for one in entity.fields):
        return FilterInvalid(
            f"Expected a quoted string value or a list of quoted string values for attributes. Got value {text}"
        )
    return FilterInvalid(f"Only the '{{{numeric}}}' attributes support comparison with numeric values.")


def _not_a_number(key: str, value: object) -> FilterInvalid:
    return FilterInvalid(f"Invalid value for numeric attribute '{key}': {value!r}")


def _tagged(dialect: str, owner: sa.Column[Any], of: sa.Column[Any], clause: Clause) -> Condition:
    table = owner.table
    return (
        sa.select(owner)
        .where(owner == of, table.c.key == clause.key)
        .where(_compare(dialect, table.c.value, clause))
        .exists()
    )


def _micros(column: sa.Column[Any]) -> Any:
    return sa.type_coerce(column, sa.BigInteger)
