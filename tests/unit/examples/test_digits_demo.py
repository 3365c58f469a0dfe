"""The examples use public calls only, and the demo measures on images that it never used before."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import noria
from noria import examples
from noria.examples.digits.incidents import (
    BROKEN,
    FRESH_EVERY,
    SCENES,
    UNIT,
    Ending,
    damaged,
    exchanged,
    joined_as_of,
    rows_and_columns,
)
from noria.examples.digits.kinds import Incident
from noria.examples.digits.roles import Part, Roles, assign
from noria.examples.digits.traffic import Request, changed, labelled, mixed

FOLDER = Path(examples.__file__).parent


def imported_modules(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.py")), ids=lambda path: path.name)
def test_an_example_imports_nothing_of_noria_but_its_public_face(path: Path) -> None:
    """A user could have written it: of Noria it imports `noria` itself, and its own modules."""
    known = (
        "noria.examples",
        "noria.core.clock",
        "noria.core.outbound",
    )  # mail is sent by nothing public yet
    inner = [
        name for name in imported_modules(path) if name.startswith("noria.") and not name.startswith(known)
    ]

    assert inner == []


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.py")), ids=lambda path: path.name)
def test_an_example_uses_only_exported_names(path: Path) -> None:
    """Every `noria.NAME` that it calls is in `noria.__all__`."""
    used = {
        node.attr
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "noria"
    }

    assert used <= set(noria.__all__)


def parts(roles: Roles) -> dict[str, Part]:
    named = ("training", "quiet", "labelled", "unlabelled", "final")
    return {name: getattr(roles, name) for name in named}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("zeros", [True, False])
def test_no_image_has_two_roles(seed: int, zeros: bool) -> None:
    """The parts are disjoint for every seed (a few images of the set are equal to the last pixel)."""
    dealt = parts(assign(seed, zeros=zeros))
    total = sum(len(part) for part in dealt.values())
    pixels = {tuple(row) for part in dealt.values() for row in part.x.astype(int)}
    everything = np.concatenate([part.x for part in dealt.values()])

    assert total <= 1797
    assert len(pixels) == len(np.unique(everything, axis=0))
    for (_, first), (_, second) in itertools.combinations(dealt.items(), 2):
        shared = {tuple(row) for row in first.x} & {tuple(row) for row in second.x}
        assert len(shared) <= 1


@pytest.mark.parametrize("seed", range(4))
def test_zeros_are_new_to_the_first_model(seed: int) -> None:
    """Training and quiet traffic hold no zero, live traffic a tenth."""
    roles = assign(seed)

    assert roles.training.n_zeros == roles.quiet.n_zeros == 0
    assert roles.labelled.n_zeros / len(roles.labelled) == pytest.approx(0.1)
    assert roles.unlabelled.n_zeros / len(roles.unlabelled) == pytest.approx(0.1)
    assert roles.final.n_zeros / len(roles.final) == pytest.approx(0.1, abs=0.003)
    assert len(roles.final_zeros) == roles.final_zeros.n_zeros == 97


def test_without_incident_the_traffic_holds_no_zero() -> None:
    """The quiet run sends the digits 1 to 9 only."""
    roles = assign(0, zeros=False)

    assert roles.labelled.n_zeros == roles.unlabelled.n_zeros == roles.final.n_zeros == 0


def test_the_same_seed_deals_alike_and_another_differently() -> None:
    """The seed repeats the split."""
    first, again, other = assign(5), assign(5), assign(6)

    np.testing.assert_array_equal(first.labelled.x, again.labelled.x)
    assert not np.array_equal(first.labelled.y, other.labelled.y)


def test_labelled_requests_are_the_share_asked_for_until_they_run_out() -> None:
    """The mix keeps its share, loses no labelled request, and goes on without them."""
    told = (Request({}, i) for i in range(6))
    untold = (Request({}, None) for _ in itertools.count())
    sent = list(itertools.islice(mixed(told, untold, share=0.6), 20))
    digits_in_order = [request.digit for request in sent if request.digit is not None]

    assert digits_in_order == [0, 1, 2, 3, 4, 5]
    assert 5 <= sum(request.digit is not None for request in sent[:10]) <= 7


@pytest.mark.parametrize("incident", list(Incident))
@pytest.mark.parametrize("seed", [0, 1])
def test_no_scene_gives_an_image_two_roles(incident: Incident, seed: int) -> None:
    """What is measured at the end was in no incident trained on or sent before."""
    dealt = parts(SCENES[incident].roles(seed))

    assert all(len(part) for part in dealt.values())
    assert sum(len(part) for part in dealt.values()) <= 1797
    for (_, first), (_, second) in itertools.combinations(dealt.items(), 2):
        shared = {tuple(row) for row in first.x} & {tuple(row) for row in second.x}
        assert len(shared) <= 1


def test_measures_are_the_ink_of_rows_and_columns() -> None:
    """Both sum up to the ink of the image, and each request has them as inputs of one row."""
    part = assign(0).quiet
    inputs = rows_and_columns(part.x)
    request = next(labelled(part, rows_and_columns))

    assert len(inputs) == 16
    for stem in ("row", "column"):
        total = sum(values for name, values in inputs.items() if name.startswith(stem))
        np.testing.assert_allclose(total, part.x.sum(axis=1))
    assert {name: values.shape for name, values in request.inputs.items()} == dict.fromkeys(inputs, (1,))


def test_another_unit_changes_one_input_by_one_factor() -> None:
    """All others, and the labels, stay what they were."""
    part = assign(0).quiet
    scene = SCENES[Incident.UNIT_CHANGE]
    assert scene.change is not None
    before = list(labelled(part, scene.inputs))
    after = list(changed(iter(before), scene.change))

    assert [request.digit for request in after] == [request.digit for request in before]
    for old, new in zip(before, after, strict=True):
        assert new.inputs[BROKEN] * UNIT == pytest.approx(old.inputs[BROKEN])
        assert all(new.inputs[name] is old.inputs[name] for name in old.inputs if name != BROKEN)


def test_a_join_as_of_repeats_the_last_image_that_the_table_got() -> None:
    """The one input is that of every tenth image; all others are those of the image itself."""
    sent = [{BROKEN: np.array([float(n)]), "row_1": np.array([float(n)])} for n in range(24)]
    found = [(inputs[BROKEN][0], inputs["row_1"][0]) for inputs in joined_as_of(iter(sent))]

    assert found == [(n - n % FRESH_EVERY, n) for n in range(24)]


def test_two_digits_change_places_and_come_back() -> None:
    """Exchanging twice changes nothing, and other digits never change."""
    part = assign(0).training

    assert {digit for digit in range(10) if exchanged(digit) != digit} == {4, 9}
    np.testing.assert_array_equal(damaged(damaged(part)).y, part.y)


def test_every_incident_has_a_scene_and_an_end() -> None:
    """Only the quiet one ends in nothing, and what only a person can mend ends in a question."""
    assert set(SCENES) == set(Incident)
    endings = {incident: scene.ending for incident, scene in SCENES.items()}
    assert [incident for incident, ending in endings.items() if ending is Ending.NOTHING] == [Incident.NONE]
    assert {incident for incident, ending in endings.items() if ending is Ending.QUESTION} == {
        Incident.UNIT_CHANGE,
        Incident.BROKEN_JOIN,
    }
