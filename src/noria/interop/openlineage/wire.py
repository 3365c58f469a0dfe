"""Events as the specification 2-0-2 writes them. Pure.

The schemas of facets are those of OpenLineage's own; what they have no place for (digests of code and environment)
stands in a facet of Noria's, `noria_run`, as the specification provides for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from noria._version import __version__
from noria.core.serialisation import to_json
from noria.interop.openlineage.entities import Parent, Thing, Told

PRODUCER: Final = f"urn:noria:{__version__}"
_SPEC: Final = "https://openlineage.io/spec"
SCHEMA: Final = f"{_SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent"
_RUN_FACET: Final = f"{_SPEC}/2-0-2/OpenLineage.json#/$defs/RunFacet"


def event_body(told: Told, namespace: str) -> bytes:
    """Give the body of the request that tells of a transition."""
    return to_json(run_event(told, namespace))


def run_event(told: Told, namespace: str) -> dict[str, Any]:
    """Give a `RunEvent`.

    Parameters
    ----------
    namespace
        Of the settings; that of the event ends with the project.
    """
    space = f"{namespace}.{told.project}"
    return {
        "eventType": told.state,
        "eventTime": told.at.isoformat(),
        "producer": PRODUCER,
        "schemaURL": SCHEMA,
        "run": {"runId": told.run_id, "facets": _run_facets(told, space)},
        "job": {"namespace": space, "name": told.job, "facets": _job_facets(told)},
        "inputs": [_thing(thing, space) for thing in told.inputs],
        "outputs": [_thing(thing, space) for thing in told.outputs],
    }


def _run_facets(told: Told, space: str) -> dict[str, Any]:
    facets: dict[str, Any] = {
        "processing_engine": _facet(
            "1-1-1/ProcessingEngineRunFacet",
            {"version": __version__, "name": "Noria", "openlineageAdapterVersion": __version__},
        ),
        "noria_run": {
            "_producer": PRODUCER,
            "_schemaURL": _RUN_FACET,
            "code": told.code,
            "environment": told.environment,
            "author": told.author,
        },
    }
    if told.parent is not None:
        facets["parent"] = _parent(told.parent, space)
    if told.params:
        given = [{"key": key, "value": value} for key, value in told.params.items()]
        facets["executionParameters"] = _facet("1-0-0/ExecutionParametersRunFacet", {"parameters": given})
    if told.error is not None:
        facets["errorMessage"] = _facet(
            "1-0-1/ErrorMessageRunFacet", {"message": told.error, "programmingLanguage": "PYTHON"}
        )
    return facets


def _parent(parent: Parent, space: str) -> dict[str, Any]:
    named = {"run": {"runId": parent.run_id}, "job": {"namespace": space, "name": parent.job}}
    return _facet("1-2-0/ParentRunFacet", named)


def _job_facets(told: Told) -> dict[str, Any]:
    values = {"processingType": "BATCH", "integration": "NORIA", "jobType": told.job_type}
    return {"jobType": _facet("2-0-4/JobTypeJobFacet", values)}


def _thing(thing: Thing, space: str) -> dict[str, Any]:
    facets = {"datasetType": _facet("1-0-1/DatasetTypeDatasetFacet", {"datasetType": thing.kind})}
    if thing.version:
        facets["version"] = _facet("1-0-1/DatasetVersionDatasetFacet", {"datasetVersion": thing.version})
    return {"namespace": space, "name": thing.name, "facets": facets}


def _facet(schema: str, values: Mapping[str, Any]) -> dict[str, Any]:
    name = schema.partition("/")[2]
    return {
        "_producer": PRODUCER,
        "_schemaURL": f"{_SPEC}/facets/{schema}.json#/$defs/{name}",
        **values,
    }
