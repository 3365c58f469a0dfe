"""Describe the operations in OpenAPI 3.1, from their declarations alone."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from typing import Any

import msgspec

from noria._version import __version__
from noria.core.errors import ErrorBody
from noria.core.operations import Download, Operation, Service, operations_of
from noria.core.remote import API

_REFERENCE = "#/components/schemas/{name}"
_PARAMETER = re.compile(r"\{([a-z_]+)\}")
_BYTES = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_ERROR = {
    "description": "What is wrong, and how to mend it",
    "content": {"application/json": {"schema": {"$ref": _REFERENCE.format(name="ErrorBody")}}},
}


def describe(services: Sequence[type[Service]]) -> dict[str, Any]:
    """Give the OpenAPI document of the services' operations.

    Each operation says the permission that it needs under `x-noria-permission`.
    """
    operations = [operation for cls in services for operation in operations_of(cls)]
    schemas = _Schemas(operations)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        path = paths.setdefault(API + operation.declaration.path, {})
        path[operation.declaration.method.lower()] = _describe(operation, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Noria",
            "version": __version__,
            "description": "Every operation of a Noria workspace.",
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "tags": [{"name": _tag(cls), "description": inspect.cleandoc(cls.__doc__ or "")} for cls in services],
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "API token or workspace key"}
            },
        },
    }


class _Schemas:
    """The JSON schema of each type that operations speak in, with shared ones named once."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        types = [ErrorBody]
        for operation in operations:
            spoken = [parameter.annotation for parameter in operation.parameters.values()]
            types += [each for each in (*spoken, operation.returns) if _is_json(operation, each)]
        found, self.components = msgspec.json.schema_components(types, ref_template=_REFERENCE)
        self._by_type = [*zip(types, found, strict=True)]

    def of(self, type_: Any) -> dict[str, Any]:
        """Give the schema of a type."""
        return next(schema for known, schema in self._by_type if known == type_)


def _is_json(operation: Operation, type_: Any) -> bool:
    upload = operation.upload_parameter
    raw = operation.parameters[upload].annotation if upload else Download
    return type_ not in (Download, None, type(None), raw)


def _describe(operation: Operation, schemas: _Schemas) -> dict[str, Any]:
    needs = operation.declaration.needs
    summary, _, rest = operation.doc.partition("\n")
    described: dict[str, Any] = {
        "operationId": operation.id,
        "tags": [operation.service],
        "summary": summary,
        "description": rest.strip(),
        "parameters": _parameters(operation, schemas),
        "responses": {**_success(operation, schemas), "default": _ERROR},
        "x-noria-permission": {"name": needs.name, "role": str(needs.role), "key": needs.key},
    }
    body = _request_body(operation, schemas)
    if body is not None:
        described["requestBody"] = {"required": True, "content": body}
    if needs.public:
        described["security"] = []
    return described


def _parameters(operation: Operation, schemas: _Schemas) -> list[dict[str, Any]]:
    in_path = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": schemas.of(operation.parameters[name].annotation),
        }
        for name in operation.path_parameters
    ]
    in_query = [
        {
            "name": name,
            "in": "query",
            "required": False,
            "schema": _with_default(
                schemas.of(operation.parameters[name].annotation), operation.parameters[name].default
            ),
        }
        for name in operation.query_parameters
    ]
    return [*in_path, *in_query]


def _with_default(schema: dict[str, Any], default: Any) -> dict[str, Any]:
    return schema if default is None else {**schema, "default": msgspec.to_builtins(default)}


def _request_body(operation: Operation, schemas: _Schemas) -> dict[str, Any] | None:
    if operation.upload_parameter is not None:
        return _BYTES
    if operation.body_parameter is not None:
        return {
            "application/json": {
                "schema": schemas.of(operation.parameters[operation.body_parameter].annotation)
            }
        }
    return None


def _success(operation: Operation, schemas: _Schemas) -> dict[str, Any]:
    if operation.returns in (None, type(None)):
        return {"204": {"description": "Done"}}
    content = (
        _BYTES
        if operation.returns is Download
        else {"application/json": {"schema": schemas.of(operation.returns)}}
    )
    return {str(operation.declaration.status): {"description": "Done", "content": content}}


def _tag(cls: type[Service]) -> str:
    return next(operation.service for operation in operations_of(cls))
