"""MLflow's language of filters and orders: text to clauses.

A filter is a list of comparisons joined by `AND`; there is no `OR` and there are no brackets::

    metrics.acc > 0.9 and params."a b" != 'x' and tags.team IS NOT NULL and status IN ('FINISHED', 'FAILED')

What can be named on the left (entities, their keys and comparators) is a `Grammar`, so that experiments, models and
traces are searched with the same code. Messages of errors begin as MLflow's do, since its clients' users know them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from noria.core.errors import Invalid
from noria.tracking.search import mending
from noria.tracking.search.tokens import Comparison, Kind, Token, split_filter, split_order

Value = float | int | str | tuple[str, ...] | None

NUMBER_COMPARATORS = ("=", "!=", ">", ">=", "<", "<=")
TEXT_COMPARATORS = ("=", "!=", "LIKE", "ILIKE")
LIST_COMPARATORS = ("IN", "NOT IN")
NULL_COMPARATORS = ("IS NULL", "IS NOT NULL")
ATTRIBUTE = "attribute"
MAX_CLAUSES = 200


class FilterInvalid(Invalid):
    """A filter or an order that cannot be read."""

    code = "filter_invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """One comparison of a filter.

    Attributes
    ----------
    entity, key
        What is compared: `metric` `acc`, `attribute` `status`.
    comparator
        In upper case.
    value
        A tuple for lists, None for `IS NULL` and `IS NOT NULL`.
    """

    entity: str
    key: str
    comparator: str
    value: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One key to order by."""

    entity: str
    key: str
    ascending: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A key of an entity whose keys are a closed list.

    Attributes
    ----------
    numeric
        Whether its values are numbers.
    comparators
        By default those of its type.
    also
        Other spellings of the key.
    lists
        Whether it may be compared with a list.
    number_comparators
        Those after which a number stands although its values may be texts.
    searchable, orderable
        Whether a filter, and an order, may name it.
    """

    key: str
    numeric: bool = False
    comparators: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    lists: bool = False
    number_comparators: tuple[str, ...] = ()
    searchable: bool = True
    orderable: bool = True

    @property
    def allowed(self) -> tuple[str, ...]:
        """The comparators that may stand after it."""
        return self.comparators or (
            NUMBER_COMPARATORS if self.numeric else TEXT_COMPARATORS + LIST_COMPARATORS
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """A kind of things that a filter names.

    Attributes
    ----------
    name
        As messages and clauses call it.
    also
        Other spellings of the name.
    fields
        Its keys, or none when every key may be asked for.
    numeric, comparators, number_comparators
        Of an entity without fields.
    orderable
        Whether an order may name it.
    """

    name: str
    also: tuple[str, ...] = ()
    fields: tuple[Field, ...] = ()
    numeric: bool = False
    comparators: tuple[str, ...] = ()
    number_comparators: tuple[str, ...] = ()
    orderable: bool = True

    def field(self, key: str, *, for_order: bool = False) -> Field:
        """Find what a key stands for.

        Raises
        ------
        FilterInvalid
            If the entity has no such key.
        """
        if not self.fields:
            return Field(
                key=key,
                numeric=self.numeric,
                comparators=self.comparators,
                number_comparators=self.number_comparators,
            )
        usable = [one for one in self.fields if (one.orderable if for_order else one.searchable)]
        for one in usable:
            if key == one.key or key in one.also:
                return one
        valid = ", ".join(f"'{one.key}'" for one in usable)
        raise FilterInvalid(
            f"Invalid {self.name} key '{key}' specified. Valid keys are '{{{valid}}}'",
            hint=mending.of_key(
                self.name, key, [one.key for one in usable], is_attribute=self.name == ATTRIBUTE
            ),
        )


@dataclass(frozen=True, kw_only=True)
class Grammar:
    """What filters and orders of one kind of thing may name.

    Attributes
    ----------
    quotes_clauses
        Whether messages show a clause that cannot be read between quotes, rather than its words one by one: MLflow
        does the first for runs, the second for models.
    """

    entities: tuple[Entity, ...]
    quotes_clauses: bool = True
    _spellings: dict[str, Entity] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        for entity in self.entities:
            for name in (entity.name, *entity.also):
                self._spellings[name] = entity

    @cached_property
    def spaced_keys(self) -> frozenset[str]:
        """Keys of attributes that hold a space and need no quotes: `run name`."""
        fields = self._spellings[ATTRIBUTE].fields if ATTRIBUTE in self._spellings else ()
        return frozenset(name for one in fields for name in one.also if " " in name)

    def parse_filter(self, text: str | None) -> tuple[Clause, ...]:
        """Read a filter; an empty one has no clauses.

        Raises
        ------
        FilterInvalid
            With what cannot be read, in the words of MLflow.
        """
        found = split_filter(text or "", self.spaced_keys, quoted=self.quotes_clauses)
        if isinstance(found, str):
            raise FilterInvalid(found, hint=mending.of_clauses(text or ""))
        if len(found) > MAX_CLAUSES:
            raise FilterInvalid(f"The filter has {len(found)} clauses", hint=f"Give at most {MAX_CLAUSES}")
        return tuple([self._clause(one) for one in found])

    def parse_orders(self, texts: Sequence[str]) -> tuple[Order, ...]:
        """Read what to order by, such as `metrics.acc DESC`.

        Raises
        ------
        FilterInvalid
            If one cannot be read, or a field is named twice.
        """
        orders = tuple([self._order(text) for text in texts])
        if len({(one.entity, one.key) for one in orders}) < len(orders):
            raise FilterInvalid(
                f"`order_by` contains duplicate fields: {list(texts)}", hint="Name each field once"
            )
        return orders

    def comparator_refused(self, _entity: Entity, named: Field, comparator: str) -> FilterInvalid:
        """Say that a field cannot be compared in this way."""
        valid = ", ".join(f"'{one}'" for one in named.allowed)
        return FilterInvalid(f"Invalid comparator '{comparator}' not one of '{{{valid}}}'")

    def entity_refused(self, kind: str) -> FilterInvalid:
        """Say that there is no such kind of things."""
        valid = [one.name for one in self.entities]
        return FilterInvalid(f"Invalid entity type '{kind}'. Valid values are {valid}")

    def value(self, entity: Entity, named: Field, token: Token) -> Value:
        """Read what a field is compared with."""
        return _value(entity, named, token)

    def _clause(self, comparison: Comparison) -> Clause:
        if comparison.left.kind is not Kind.NAME:
            raise FilterInvalid(
                f"Invalid comparison clause. Expected 'Identifier' found '{comparison.left.text}'",
                hint="The name stands on the left, the value on the right",
            )
        entity, named = self._resolve(comparison.left.text, for_order=False)
        comparator = comparison.comparator
        if comparator in NULL_COMPARATORS:
            _check_nullable(entity, named, comparator)
            return Clause(entity=entity.name, key=named.key, comparator=comparator, value=None)
        if comparator in named.number_comparators:
            named = replace(named, numeric=True)
        value = self.value(entity, named, comparison.right)
        if comparator not in named.allowed or isinstance(value, tuple) != (comparator in LIST_COMPARATORS):
            hint = mending.of_comparator(
                _written(entity, named), comparator, named.allowed, numeric=named.numeric
            )
            raise _hinted(self.comparator_refused(entity, named, comparator), hint)
        return Clause(entity=entity.name, key=named.key, comparator=comparator, value=value)

    def _order(self, text: str) -> Order:
        found = split_order(text, self.spaced_keys)
        if found is None:
            raise FilterInvalid(
                f"Invalid order_by clause '{text}'. Could not be parsed.", hint="Write `metrics.acc DESC`"
            )
        name, direction = found
        if direction.lower() not in ("asc", "desc"):
            raise FilterInvalid(
                f"Invalid ordering key in order_by clause '{text}'.", hint=mending.of_direction(direction)
            )
        entity, named = self._resolve(name, for_order=True)
        if not entity.orderable:
            valid = ", ".join(f"`{one.name}`" for one in self.entities if one.orderable)
            raise FilterInvalid(
                f"Invalid order_by entity type '{entity.name}'", hint=f"Order by a key of one of: {valid}"
            )
        return Order(entity=entity.name, key=named.key, ascending=direction.lower() == "asc")

    def _resolve(self, name: str, *, for_order: bool) -> tuple[Entity, Field]:
        kind, dot, key = name.partition(".")
        if not dot:
            kind, key = ATTRIBUTE, name
        entity = self._spellings.get(_without(kind, "`"))
        if entity is None:
            kind = _without(kind, "`")
            raise _hinted(self.entity_refused(kind), mending.of_entity(kind, self._spellings))
        key = _without(_without(key, "'", '"'), "`")
        try:
            return entity, entity.field(key, for_order=for_order)
        except FilterInvalid as error:
            kinds = [
                (one.also or (one.name,))[-1]
                for one in self.entities
                if not one.fields and (one.orderable or not for_order)
            ]
            raise _hinted(error, mending.of_kinds(key, kinds)) from error


def _check_nullable(entity: Entity, named: Field, comparator: str) -> None:
    if comparator not in named.allowed:
        raise FilterInvalid(
            "IS NULL / IS NOT NULL is only supported for tags and params, "
            f"not for '{entity.name}' '{named.key}'",
            hint=mending.of_null(_written(entity, named), numeric=named.numeric),
        )


def _value(entity: Entity, named: Field, token: Token) -> Value:
    if named.numeric:
        if token.kind is not Kind.NUMBER:
            what = f"numeric attribute: {named.key}" if entity.name == ATTRIBUTE else entity.name
            raise FilterInvalid(
                f"Expected numeric value type for {what}. Found {token.text}",
                hint=mending.of_number(_written(entity, named), token.text),
            )
        return _number(token.text) if entity.fields else float(token.text)
    if token.kind is Kind.LIST:
        return _list(entity, named, token)
    if token.kind is Kind.TEXT:
        return token.value
    if token.kind is Kind.NAME:
        raise FilterInvalid(
            "Parameter value is either not quoted or unidentified quote types used for string value "
            f"{token.text}. Use either single or double quotes.",
            hint=mending.of_text(token.text),
        )
    example = "attributes." if entity.name == ATTRIBUTE else f"{entity.name} (e.g. 'my-value')."
    raise FilterInvalid(
        f"Expected a quoted string value for {example} Got value {token.text}",
        hint=mending.of_text(token.text),
    )


def _list(entity: Entity, named: Field, token: Token) -> tuple[str, ...]:
    if not named.lists:
        valid = sorted(one.key for one in entity.fields if one.lists)
        raise FilterInvalid(
            f"Only {valid} {entity.name}s support comparison with a list of quoted string values."
            if valid
            else f"Expected a quoted string value for {entity.name} (e.g. 'my-value'). Got value {token.text}",
            hint=mending.without_list(_written(entity, named), valid),
        )
    wrong = _wrong_with(token)
    if wrong is not None:
        raise FilterInvalid(
            f"While parsing a list in the query, expected {wrong}",
            hint=mending.of_list(_written(entity, named), token.text),
        )
    return token.items or ()


def _wrong_with(token: Token) -> str | None:
    if token.ill_formed:
        return "a non-empty list of string values, but got ill-formed list."
    if token.items is None:
        shown = token.text if "," in token.text else f"{token.text[:-1]},)"  # as MLflow's tuples are written
        return f"string value, punctuation, or whitespace, but got different type in list: {shown}"
    if not token.items:
        return "a non-empty list of string values, but got empty list"
    return None


def _hinted(error: FilterInvalid, hint: str | None) -> FilterInvalid:
    return error if error.hint else FilterInvalid(error.message, hint=hint)


def _written(entity: Entity, named: Field) -> str:
    """Give what a user writes for a key."""
    return named.key if entity.name == ATTRIBUTE else f"{(entity.also or (entity.name,))[-1]}.{named.key}"


def _number(text: str) -> float | int:
    # Whole numbers that fit in 64 bits stay exact.
    return int(text) if text.lstrip("-").isdigit() and len(text) < 19 else float(text)


def _without(text: str, *quotes: str) -> str:
    for quote in quotes:
        if len(text) >= 2 and text[0] == text[-1] == quote:
            return text[1:-1]
    return text
