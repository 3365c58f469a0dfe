"""Limits on GraphQL queries: a short text can ask for a great deal, by aliases and by fragments within fragments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from graphql.language import DocumentNode, FieldNode, FragmentDefinitionNode, SelectionSetNode

MAX_ROOT_FIELDS: Final = 10
MAX_ALIASES: Final = 10
MAX_DEPTH: Final = 10
MAX_SELECTIONS: Final = 1_000

_Fragments = Mapping[str, "FragmentDefinitionNode"]


def fault_of_query(document: DocumentNode) -> str | None:
    """Say which limit a parsed query passes, or None if it passes none.

    Fields within fragments count where the fragments are spread. Fragments that spread themselves count once: the
    library refuses them anyway.
    """
    from graphql.language import FragmentDefinitionNode, OperationDefinitionNode

    fragments = {
        each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)
    }
    operations = [each for each in document.definitions if isinstance(each, OperationDefinitionNode)]
    n_roots = n_selections = 0
    for operation in operations:
        level = [operation.selection_set]
        for depth in range(1, MAX_DEPTH + 1):
            below: list[SelectionSetNode] = []
            for selection_set in level:
                fields = list(_fields(selection_set, fragments, set()))
                n_selections += len(fields)
                n_roots += len(fields) if depth == 1 else 0
                n_aliases = sum(field.alias is not None for field in fields)
                fault = _fault(n_roots, n_aliases, n_selections)
                if fault is not None:
                    return fault
                below += [field.selection_set for field in fields if field.selection_set is not None]
            level = below
        if level:
            return f"Query exceeds maximum depth of {MAX_DEPTH}"
    return None


def _fault(n_roots: int, n_aliases: int, n_selections: int) -> str | None:
    if n_selections > MAX_SELECTIONS:
        return f"Query exceeds maximum total selections of {MAX_SELECTIONS}"
    for n, limit, what in ((n_roots, MAX_ROOT_FIELDS, "root fields"), (n_aliases, MAX_ALIASES, "aliases")):
        if n > limit:
            return f"GraphQL queries should have at most {limit} {what}, got {n} {what}."
    return None


def _fields(selection_set: SelectionSetNode, fragments: _Fragments, seen: set[str]) -> Iterator[FieldNode]:
    """Give the fields of a selection, with those of the fragments that it spreads."""
    from graphql.language import FieldNode, FragmentSpreadNode, InlineFragmentNode

    for selection in selection_set.selections:
        if isinstance(selection, FieldNode):
            yield selection
        elif isinstance(selection, InlineFragmentNode):
            yield from _fields(selection.selection_set, fragments, seen)
        elif isinstance(selection, FragmentSpreadNode) and selection.name.value not in seen:
            seen.add(selection.name.value)
            spread = fragments.get(selection.name.value)
            if spread is not None:
                yield from _fields(spread.selection_set, fragments, seen)
