"""Rules on names, references and what a version must have to be served."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from noria.core.errors import Invalid
from noria.registry.entities import Consent, ModelVersion, Origin, Task
from noria.registry.rules import (
    ConsentMissing,
    NotServable,
    check_alias,
    check_consent,
    files_of,
    parse_model_ref,
    servable,
)
from support.serving import signature

AT = datetime(2030, 1, 1, tzinfo=UTC)


def known(**fields: object) -> ModelVersion:
    whole = ModelVersion(
        id="1",
        project="bank",
        model="m",
        version=3,
        digest="blake3:00",
        format="sklearn-skops",
        task=Task.CLASSIFICATION,
        signature=signature(),
        classes=None,
        holdout=None,
        metrics={},
        origin=Origin(),
        message="",
        author="",
        created_at=AT,
        updated_at=AT,
    )
    return msgspec.structs.replace(whole, **fields)


@pytest.mark.parametrize(
    ("ref", "parsed"),
    [
        ("digits", ("digits", None)),
        ("digits@latest", ("digits", None)),
        ("digits@12", ("digits", 12)),
        ("digits@champion", ("digits", "champion")),
        ("a@b@3", ("a@b", 3)),
        ("Größe, monthly@x", ("Größe, monthly", "x")),
    ],
)
def test_a_reference_is_divided_at_its_last_at(ref: str, parsed: tuple[str, object]) -> None:
    """A model that came through MLflow may have an `@` in its name."""
    assert parse_model_ref(ref) == parsed


@pytest.mark.parametrize("ref", ["digits@", "digits@0", "digits@" + "9" * 5000])
def test_a_reference_to_no_version_is_refused(ref: str) -> None:
    """Versions count from 1, and no number is endless."""
    with pytest.raises(Invalid):
        parse_model_ref(ref)


@pytest.mark.parametrize("alias", ["champion", "a.b", "a-b_c", "é", "x1", "v", "2a"])
def test_words_are_aliases(alias: str) -> None:
    """Those of MLflow and those of Noria."""
    assert check_alias(alias) == alias


@pytest.mark.parametrize("alias", ["", "3", "latest", "LaTeSt", "v1", "V22", "a b", "a/b", "x" * 256])
def test_what_reads_as_a_version_is_no_alias(alias: str) -> None:
    """Nor what cannot stand in a reference."""
    with pytest.raises(Invalid):
        check_alias(alias)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"digest": None, "source": "s3://b/m"}, ["files in this workspace", "`s3://b/m`"]),
        ({"format": None}, ["format", "`MLmodel`"]),
        ({"signature": None}, ["signature", "infer_signature"]),
        ({"task": None}, ["task"]),
        ({"signature": None, "task": None}, ["no signature and no task"]),
    ],
)
def test_what_keeps_a_version_from_being_served_is_named(fields: dict[str, object], words: list[str]) -> None:
    """All that is missing, and what mends it."""
    with pytest.raises(NotServable) as caught:
        servable(known(**fields))
    told = f"{caught.value.message} {caught.value.hint}"
    assert "`m@3`" in told
    for word in words:
        assert word in told


def test_a_whole_version_is_servable() -> None:
    """It is the same version, with everything known."""
    version = known()
    whole = servable(version)

    assert msgspec.structs.asdict(whole) == msgspec.structs.asdict(version)
    assert files_of(version) == "blake3:00"
    with pytest.raises(NotServable):
        files_of(known(digest=None))


def test_a_consent_holds_for_its_digest_only() -> None:
    """A version that is no pickle needs none."""
    consent = Consent(digest="blake3:00", ref="m@1", given_by="ana", given_at=AT)
    check_consent(known())
    check_consent(known(pickled=True, consent=consent))
    for version in (
        known(pickled=True),
        known(pickled=True, consent=msgspec.structs.replace(consent, digest="blake3:11")),
    ):
        with pytest.raises(ConsentMissing, match="m@3") as caught:
            check_consent(version)
        assert "--project bank" in (caught.value.hint or "")
