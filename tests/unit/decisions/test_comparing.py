"""What both revisions made of the same inputs, as evidence: constructed cases with the answer known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noria.core.web.retelling import Sentence
from noria.decisions.aside import first_difference
from noria.decisions.comparing import rerun_finding
from noria.decisions.evidence_words import retelling
from noria.decisions.pipeline_entities import Compared, PipelineChange, RanAside, Rerun
from noria.decisions.stages.finding import LACKS

A, B, C = "f.py:load", "f.py:scale", "f.py:publish"
RERUN = Rerun(batch_run="b", made="customers@7", copied=[], run_id="r", reads=[], params={}, params_before={})


def change(*what: str) -> PipelineChange:
    return PipelineChange(
        schedule="features",
        before=1,
        after=2 if what != ("environment",) else 1,
        target_before="f.py:features",
        target_after="f.py:features",
        snapshot_before=None,
        snapshot_after=None,
        run_before="q",
        run_after="r",
        what=[*what],
        since=None,
        reruns=[RERUN],
    )


def ran(load: str, scale: str, publish: str = "x", *, rows: str | None = "rows") -> RanAside:
    return RanAside(steps=[(A, [load]), (B, [scale]), (C, [publish])], rows=rows)


@pytest.mark.parametrize(
    ("what", "old", "new", "recorded", "verdict", "subject"),
    [
        # The code of `scale` changed.
        (
            ("code",),
            ran("1", "2"),
            ran("1", "3", rows="other"),
            ran("1", "3"),
            "features_differ",
            f"step {B}",
        ),
        # An intermediate form changed, and the rows did not.
        (("code",), ran("1", "2"), ran("1", "3"), ran("1", "3"), "same", None),
        (("parameters",), ran("1", "2"), ran("1", "2"), ran("1", "2"), "same", None),
        # One step computes and writes, and gives back the name of what it wrote.
        (
            ("code",),
            ran("1", "2"),
            ran("1", "2", rows="other"),
            ran("1", "2"),
            "features_differ",
            "dataset customers",
        ),
        # `load` draws rows by chance: it gave something else in production, too.
        (("code",), ran("1", "2"), ran("4", "3", rows="other"), ran("5", "6"), LACKS, None),
        # In the environment of now `scale` gives something else than on record, and the same each time.
        (("environment",), ran("1", "3"), ran("1", "3"), ran("1", "2"), "features_differ", f"step {B}"),
        (("environment",), ran("1", "2"), ran("1", "2"), ran("1", "2"), "same", None),
        (("environment",), ran("1", "3"), ran("1", "4"), ran("1", "2"), LACKS, None),
    ],
)
def test_the_first_step_that_differs_is_the_subject(
    what: tuple[str, ...],
    old: RanAside,
    new: RanAside,
    recorded: RanAside,
    verdict: str,
    subject: str | None,
) -> None:
    """A difference that stands on record or between repetitions already is none of the change's."""
    found = rerun_finding(Compared(change=change(*what), old=old, new=new), recorded.steps)

    assert (found.verdict, found.subject) == (verdict, subject)
    assert retelling.find(found.sentence).is_known, found.sentence


def test_what_did_not_run_is_told() -> None:
    """The revision that failed and why stand in the sentence, whose words are known."""
    found = rerun_finding(Compared(change=change("code"), why_not="revision 1: no module `tax`"), [])
    told = retelling.find(found.sentence)

    assert found.verdict == LACKS
    assert told.words.startswith("Revision %(after)s")
    assert told.values["text"] == Sentence("revision 1: no module `tax`", is_known=False)


STEPS = st.lists(
    st.tuples(st.sampled_from("abcd"), st.lists(st.sampled_from("xyz"), max_size=2)), max_size=4
).map(lambda steps: [*dict(steps).items()])


@given(STEPS, STEPS)
def test_everything_before_the_first_difference_is_the_same(
    old: list[tuple[str, list[str]]], new: list[tuple[str, list[str]]]
) -> None:
    """None is named only where both have the same steps with the same outputs, whatever their order."""
    found = first_difference(old, new)
    names = [step for step, _ in new]

    if found is None:
        assert dict(old) == dict(new)
    elif found in names:
        assert dict(old).get(found) != dict(new)[found]
        assert all(dict(old).get(step) == outputs for step, outputs in new[: names.index(found)])
    else:
        assert found in dict(old)
        assert all(dict(old).get(step) == outputs for step, outputs in new)
