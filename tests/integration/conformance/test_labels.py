"""The suite of labels: whom they are from, how far they are trusted, and what becomes of those that contradict."""

from __future__ import annotations

import dataclasses
import random
from datetime import timedelta

import pytest
from msgspec.structs import asdict, replace

from noria.core.context import Context
from noria.core.workspace import Workspace
from noria.registry.entities import Task
from noria.serving.counts import FIELDS, read_counts
from noria.serving.entities import Deployment
from noria.serving.keys import NewKey
from noria.serving.label_keys import KeyedLabel, KeyedLabelBatch
from noria.serving.label_trust import LabelSection, LabelTrust
from noria.serving.locate import endpoint_row
from noria.serving.packing import json_entry, pack
from noria.serving.pairs import read_pairs
from noria.serving.predictions import (
    CaptureBatch,
    CaptureOrder,
    CaptureRole,
    LabelBatch,
    LabelReport,
    NewLabel,
    PastOutcome,
)
from noria.serving.service import Captures, EndpointKeys, Endpoints
from noria.serving.sums import ClassSums
from support.serving import AT, predictions, register_version

PLACE = ("default", "digits")
SECTION = LabelSection(untrusted=("button",), untrusted_keys=("web",), cap_per_client=2)


@pytest.fixture
def ids(workspace: Workspace) -> list[str]:
    """Capture ten predictions of a 7."""
    register_version(workspace)
    workspace.service(Endpoints).deploy(*PLACE, Deployment(model="digits", version=1))
    names = [f"p{number}" for number in range(10)]
    workspace.service(Captures).append(*PLACE, CaptureBatch(predictions=predictions(names)))
    return names


def give(captures: Captures, *labels: NewLabel) -> LabelReport:
    return captures.label(*PLACE, LabelBatch(labels=list(labels)))


def test_what_contradicts_and_what_corrects_can_be_seen(workspace: Workspace, ids: list[str]) -> None:
    """The first label stands until one that says so takes its place; one that came early or from the future is kept."""
    captures = workspace.service(Captures)
    first = give(captures, NewLabel(prediction_id="p0", value=7, source="lab"))
    refused = give(captures, NewLabel(prediction_id="p0", value=3), NewLabel(prediction_id="soon", value=1))
    corrected = give(captures, NewLabel(prediction_id="p0", value=4, source="audit", corrects=True))
    again = give(captures, NewLabel(prediction_id="p0", value=4, corrects=True))
    skewed = give(captures, NewLabel(prediction_id="p1", value=7, at=AT + timedelta(days=9000)))
    history = captures.label_history(*PLACE, "p0")

    assert (first.accepted, skewed.accepted) == (1, 1)
    assert (refused.conflicting, refused.unknown) == (["p0"], ["soon"])
    assert (corrected.accepted, corrected.corrected, again.duplicate) == (0, 1, ["p0"])
    assert history.label is not None
    assert (history.label.value, history.label.source) == (4, "audit")
    assert (history.label.n_contradictions, history.label.n_corrections) == (1, 1)
    assert [(past.value, past.source, past.outcome) for past in history.past] == [
        (3, None, PastOutcome.REFUSED),
        (7, "lab", PastOutcome.CORRECTED),
    ]
    newest = captures.read(*PLACE, order=CaptureOrder.LABELLED).items[-1]
    assert newest.prediction.id == "p1"


def test_labels_by_key_and_time_find_the_newest_prediction_before(
    workspace: Workspace, ids: list[str]
) -> None:
    """Not one that is later, too old, or of another key."""
    captures = workspace.service(Captures)
    times = {"old": -7200.0, "early": -60.0, "late": 60.0}
    rows = [
        replace(each, at=AT + timedelta(seconds=times[each.id]), inputs={"customer": 42})
        for each in predictions(list(times))
    ]
    captures.append(*PLACE, CaptureBatch(predictions=rows))
    wanted = [
        KeyedLabel(key={"customer": 42}, at=AT, value=7),
        KeyedLabel(key={"customer": 43}, at=AT, value=7),
        KeyedLabel(key={"customer": 42}, at=AT - timedelta(seconds=3600), value=7),
    ]
    report = captures.label_by_key(*PLACE, KeyedLabelBatch(labels=wanted, within_s=1800))

    assert report.unmatched == [1, 2]
    assert report.labels.accepted == 1
    assert captures.get(*PLACE, "early").label is not None


def test_labels_that_are_not_trusted_are_shown_and_move_nothing(context: Context, ids: list[str]) -> None:
    """By their source or their key; a client may give few of them; one that is trusted takes their place."""
    settings = dataclasses.replace(context.settings, sections={"labels": SECTION})
    app = dataclasses.replace(context, settings=settings)
    captures = app.service(Captures)
    key = app.service(EndpointKeys).create(*PLACE, NewKey(name="web")).key
    mine, yours = "address:10.0.0.1", "address:10.0.0.2"
    button = [
        NewLabel(prediction_id=f"p{number}", value=3, source="button", client=mine) for number in range(4)
    ]
    reports = [
        give(captures, *button),
        give(captures, a_label("p3", source="button", client=yours)),
        give(captures, a_label("p4", source="lab", client=f"key:{key.id}")),
        give(captures, a_label("p5", source="lab", client=yours)),
    ]
    untouched = captures.stats(*PLACE).of(1)
    replaced = give(captures, NewLabel(prediction_id="p0", value=7, source="lab"))
    contradicted = give(captures, a_label("p0", source="button", client=yours))
    history = captures.label_history(*PLACE, "p0")
    counted = captures.stats(*PLACE).of(1)
    rows = captures.read(*PLACE, labelled=True).items

    assert [report.accepted for report in reports] == [2, 1, 1, 1]
    assert reports[0].capped == ["p2", "p3"]
    assert (untouched.n_labelled, counted.n_labelled, counted.n_correct) == (1, 2, 1)
    assert (replaced.accepted, contradicted.conflicting) == (1, ["p0"])
    assert history.label is not None
    assert (history.label.value, history.label.trust) == (7, LabelTrust.TRUSTED)
    assert [(past.value, past.outcome) for past in history.past] == [
        (3, PastOutcome.REPLACED),
        (3, PastOutcome.REFUSED),
    ]
    trust = {row.prediction.id: row.label.trust for row in rows if row.label is not None}
    assert {name for name, how in trust.items() if how is LabelTrust.TRUSTED} == {"p0", "p5"}
    assert set(trust) == {"p0", "p1", "p3", "p4", "p5"}


@pytest.mark.parametrize("task", [Task.CLASSIFICATION, Task.REGRESSION])
def test_corrected_labels_count_as_though_they_had_come_first(
    workspace: Workspace, context: Context, task: Task
) -> None:
    """Of the answers, of shadows beside them and of the pairs of both; a correction that says the same changes none."""
    generator = random.Random(task.value)
    numbers = range(3) if task is Task.CLASSIFICATION else range(100)
    register_version(workspace, task=task)
    register_version(workspace, task=task)
    asked = [f"p{number}" for number in range(40)]
    answers = {identity: (generator.choice(numbers), generator.choice(numbers)) for identity in asked}
    truth = {identity: generator.choice(numbers) for identity in asked}
    wrong = {identity: generator.choice(numbers) for identity in asked[:30]}
    counted = []
    for endpoint, given in (("corrected", wrong), ("right", {})):
        place = ("default", endpoint)
        workspace.service(Endpoints).deploy(*place, Deployment(model="digits", version=1))
        rows = [
            replace(each, role=role)
            for identity, (answer, shadow) in answers.items()
            for version, role, value in (
                (1, CaptureRole.ANSWER, answer), (2, CaptureRole.SHADOW, shadow)
            )
            for each in predictions([identity], version=version, answer=value)
        ]  # fmt: skip
        captures = workspace.service(Captures)
        captures.append_packed(*place, pack([json_entry(row) for row in rows]))
        labels = [NewLabel(prediction_id=identity, value=value) for identity, value in given.items()]
        captures.label(*place, LabelBatch(labels=labels))
        labels = [
            NewLabel(prediction_id=identity, value=truth[identity], corrects=True) for identity in asked
        ]
        if given:  # a label and its correction may come together
            labels.insert(35, NewLabel(prediction_id=asked[35], value=numbers[0]))
        report = captures.label(*place, LabelBatch(labels=labels))
        assert (report.accepted + report.corrected + len(report.duplicate)) == len(labels)
        counted.append(sums_of(context, endpoint))
        first = NewLabel(prediction_id="p0", value=truth["p0"], corrects=True)
        assert captures.label(*place, LabelBatch(labels=[first])).duplicate == ["p0"]
        assert sums_of(context, endpoint) == counted[-1]

    assert counted[0] == pytest.approx(counted[1])


def sums_of(context: Context, endpoint: str) -> dict[str, float]:
    """Give what is counted of labels by rows, of both versions and of their pairs."""
    with context.database.read() as connection:
        place = endpoint_row(connection, "default", endpoint)
        counts = read_counts(connection, place.pk)
        found = {
            f"pairs {name}": value for name, value in asdict(read_pairs(connection, place.pk, 2, 1)).items()
        }
    for stats in counts:
        of = f"version {stats.version}"
        found |= {f"{of} {name}": getattr(stats, name) for name in FIELDS if name.startswith(("n_", "abs_"))}
        for name, form in stats.sums.forms.items():
            found |= {f"{of} {name} {part}": value for part, value in zip("nts", form.by(1), strict=True)}
        for name, each in stats.sums.classes.items():
            if each != ClassSums():
                found |= {f"{of} class {name} {part}": value for part, value in asdict(each).items()}
    return found


def a_label(identity: str, *, source: str, client: str) -> NewLabel:
    return NewLabel(prediction_id=identity, value=3, source=source, client=client)
