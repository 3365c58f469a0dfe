"""What is wrong with a filter is told in Spanish too: every message and hint that the parser has is found again."""

from __future__ import annotations

import pytest

from noria.core.web.languages import Language
from noria.core.web.rendering import environment
from noria.tracking.filter_sentences import retelling
from noria.tracking.search.grammar import MAX_CLAUSES, FilterInvalid
from noria.tracking.search.runs import parse_query

WRONG = (
    "metrics.loss > 1 OR metrics.loss < 0",
    "metrics.loss >",
    "params.lr = 'a",
    "metrics.loss > 1; metrics.loss < 2",
    "loss > 1",
    "stattus = 'FINISHED'",
    "metric_s.loss > 1",
    "1 > metrics.loss",
    "metrics.loss IS NULL",
    "metrics.loss > '1'",
    "metrics.loss > 'a'",
    "attributes.start_time > 'a'",
    "params.lr = a",
    "params.lr = 1",
    "params.lr > 'a'",
    "metrics.loss LIKE 'a'",
    "params.lr IN ('a')",
    "run_id IN (1)",
    "status = 1",
    " AND ".join(["metrics.loss > 1"] * (MAX_CLAUSES + 1)),
)


@pytest.mark.parametrize("text", WRONG)
def test_every_mistake_is_told_in_spanish(text: str) -> None:
    """Neither the message nor the hint of a filter that cannot be read stays English."""
    with pytest.raises(FilterInvalid) as refused:
        parse_query(text, ())
    told = environment(Language.SPANISH).filters["told"]
    for said in (refused.value.message, refused.value.hint):
        if said is not None:
            found = retelling.find(said)
            assert found.is_known, said
            assert str(told(found)) != str(environment(Language.ENGLISH).filters["told"](found))
