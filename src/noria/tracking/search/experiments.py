"""Search experiments: all that the caller may read are at hand and few, so each is looked at."""

from __future__ import annotations

from collections.abc import Sequence

from noria.core.database.schema import to_micros
from noria.tracking.entities import Lifecycle
from noria.tracking.experiment_entities import Experiment
from noria.tracking.search.entities import ExperimentSearch, ExperimentsFound
from noria.tracking.search.evaluate import Fact, Facts, matches, order_key
from noria.tracking.search.fields import EXPERIMENTS, TAG
from noria.tracking.search.grammar import ATTRIBUTE, Order
from noria.tracking.search.page_tokens import Place, mark_of, read_token, write_token

_NEWEST_FIRST = (Order(entity=ATTRIBUTE, key="creation_time", ascending=False),)
_LAST = Order(entity=ATTRIBUTE, key="experiment_id")
_KINDS = {"name": str, "experiment_id": int, "creation_time": int, "last_update_time": int}


def search_experiments(known: Sequence[Experiment], search: ExperimentSearch) -> ExperimentsFound:
    """Find experiments among those of the wanted lifecycle.

    Raises
    ------
    FilterInvalid
        If the filter or an order cannot be read.
    PageTokenInvalid
        If `after` belongs to another search.
    """
    clauses = EXPERIMENTS.parse_filter(search.filter)
    orders = _orders(search.order_by)
    mark = mark_of(
        search.filter.strip(), [one.strip() for one in search.order_by], search.lifecycle, search.home
    )
    found = [each for each in known if matches(clauses, _facts(each, search.home, number=str(each.number)))]
    found.sort(key=lambda each: order_key(orders, _ordered_facts(each, search.home)))
    if search.after:
        kinds = tuple([_KINDS[one.key] for one in orders])
        place = _key_of_place(orders, read_token(search.after, mark, kinds))
        found = [each for each in found if order_key(orders, _ordered_facts(each, search.home)) > place]
    items = found[: search.limit]
    more = len(found) > search.limit
    return ExperimentsFound(
        items=items, next=write_token(mark, _place_of(orders, items[-1], search.home)) if more else None
    )


def is_wanted(experiment: Experiment, lifecycle: Lifecycle) -> bool:
    """Tell whether an experiment is of a lifecycle."""
    if lifecycle is Lifecycle.ALL:
        return True
    return (experiment.deleted_at is not None) == (lifecycle is Lifecycle.DELETED)


def _orders(order_by: Sequence[str]) -> tuple[Order, ...]:
    given = EXPERIMENTS.parse_orders(order_by) or _NEWEST_FIRST
    return tuple(given) if any(one.key == _LAST.key for one in given) else (*given, _LAST)


def _ordered_facts(experiment: Experiment, home: str | None) -> Facts:
    return _facts(experiment, home, number=experiment.number)


def _facts(experiment: Experiment, home: str | None, *, number: int | str) -> Facts:
    name = experiment.name
    if home is not None and experiment.project != home:
        name = f"{experiment.project}/{name}"
    attributes: dict[str, Fact] = {
        "name": name,
        "experiment_id": number,
        "creation_time": to_micros(experiment.created_at) // 1000,
        "last_update_time": to_micros(experiment.updated_at) // 1000,
    }
    return Facts(of={ATTRIBUTE: attributes, TAG: experiment.tags})


def _place_of(orders: Sequence[Order], experiment: Experiment, home: str | None) -> Place:
    facts = _ordered_facts(experiment, home)
    return tuple([(0, facts.get(one.entity, one.key)) for one in orders])


def _key_of_place(orders: Sequence[Order], place: Place) -> tuple[tuple[int, object], ...]:
    values = {one.key: value for one, (_, value) in zip(orders, place, strict=True)}
    return order_key(orders, Facts(of={ATTRIBUTE: values}))
