"""Provenance of a package: an in-toto statement with a predicate of SLSA 1.0, in a signed envelope."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import msgspec

from noria._version import __version__
from noria.core.serialisation import to_json
from noria.registry.packages.entities import Made
from noria.registry.packages.errors import PackageAltered, PackageInvalid
from noria.registry.packages.signing import Vouched

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "https://slsa.dev/provenance/v1"
BUILD_TYPE: Final = "urn:noria:package:build:1"
BUILDER: Final = "urn:noria:builder"


class _Subject(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    digest: dict[str, str]


class _Definition(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    build_type: str
    internal_parameters: Made


class _Predicate(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    build_definition: _Definition


class _Statement(msgspec.Struct, frozen=True, kw_only=True, rename={"type_": "_type"}):
    type_: str
    subject: list[_Subject]
    predicateType: str  # noqa: N815
    predicate: _Predicate


def make_provenance(
    made: Made, digest: str, materials: dict[str, str], *, started: datetime, finished: datetime
) -> bytes:
    """Say what a package was built from, as the payload of an envelope.

    Parameters
    ----------
    materials
        What went in: `algorithm:hex` by name.
    """
    return to_json(
        {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": made.model, "digest": {"sha256": digest.removeprefix("sha256:")}}],
            "predicateType": PREDICATE_TYPE,
            "predicate": {
                "buildDefinition": {
                    "buildType": BUILD_TYPE,
                    "externalParameters": {"model": f"{made.model}@{made.version}", "project": made.project},
                    "internalParameters": made,
                    "resolvedDependencies": [_material(name, value) for name, value in materials.items()],
                },
                "runDetails": {
                    "builder": {"id": BUILDER, "version": {"noria": __version__}},
                    "metadata": {"startedOn": started, "finishedOn": finished},
                },
            },
        }
    )


def read_provenance(vouched: Vouched, digest: str) -> Made:
    """Read a statement that a trusted key has signed.

    Raises
    ------
    PackageAltered
        If it speaks of another package.
    PackageInvalid
        If it is no such statement.
    """
    try:
        statement = msgspec.json.decode(vouched.payload, type=_Statement)
    except msgspec.DecodeError as error:
        raise PackageInvalid(f"The provenance of the package cannot be read: {error}") from error
    if (vouched.payload_type, statement.type_, statement.predicateType) != (
        PAYLOAD_TYPE,
        STATEMENT_TYPE,
        PREDICATE_TYPE,
    ):
        raise PackageInvalid("The provenance of the package is of another type than SLSA 1.0")
    if digest not in {f"sha256:{each.digest.get('sha256')}" for each in statement.subject}:
        raise PackageAltered(
            f"The provenance is of another package than `{digest}`", hint="Fetch the package again"
        )
    return statement.predicate.build_definition.internal_parameters


def _material(name: str, value: str) -> dict[str, Any]:
    algorithm, _, hexadecimal = value.rpartition(":")
    return {"name": name, **({"digest": {algorithm: hexadecimal}} if algorithm else {})}
