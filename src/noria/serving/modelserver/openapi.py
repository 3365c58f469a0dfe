"""What the model server answers, as OpenAPI: one operation for each address and each endpoint that is served."""

from __future__ import annotations

from typing import Any

from noria._version import __version__
from noria.registry.entities import Signature
from noria.serving.modelserver.routes import Routes
from noria.serving.modelserver.tensors import DTYPES

_JSON = "application/json"
_TENSOR = {"$ref": "#/components/schemas/Tensor"}
_REFUSED = {
    status: {
        "description": text,
        "content": {_JSON: {"schema": {"$ref": "#/components/schemas/Error"}}},
    }
    for status, text in {
        "400": "The request does not fit; `details.field` names the input.",
        "401": "The endpoint asks for a key.",
        "403": "The request may not be asked from where it comes.",
        "404": "There is no such endpoint or version.",
        "405": "The address takes another method.",
        "413": "There are too many rows or bytes.",
        "415": "The body is of a type that is not taken.",
        "422": "The model raised.",
        "429": "Too much is asked; `Retry-After` says when to come again.",
        "503": "The endpoint cannot answer now.",
    }.items()
}
_SCHEMAS: dict[str, Any] = {
    "Tensor": {
        "type": "object",
        "required": ["name", "shape", "datatype", "data"],
        "properties": {
            "name": {"type": "string"},
            "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
            "datatype": {"type": "string", "enum": list(DTYPES)},
            "data": {"type": "array", "items": {}},
            "parameters": {"type": "object"},
        },
    },
    "InferRequest": {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": {"type": "string", "maxLength": 200},
            "parameters": {"type": "object"},
            "inputs": {"type": "array", "items": _TENSOR},
            "outputs": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {"name": {"type": "string"}, "parameters": {"type": "object"}},
                },
            },
        },
    },
    "InferAnswer": {
        "type": "object",
        "required": ["model_name", "model_version", "id", "outputs"],
        "properties": {
            "model_name": {"type": "string"},
            "model_version": {"type": "string"},
            "id": {"type": "string"},
            "parameters": {"type": "object"},
            "outputs": {"type": "array", "items": _TENSOR},
        },
    },
    "Invocation": {
        "type": "object",
        "minProperties": 1,
        "properties": {
            "dataframe_split": {
                "type": "object",
                "required": ["data"],
                "properties": {
                    "columns": {"type": "array", "items": {"type": "string"}},
                    "data": {"type": "array", "items": {"type": "array", "items": {}}},
                },
            },
            "dataframe_records": {"type": "array", "items": {"type": "object"}},
            "instances": {"type": "array", "items": {}},
            "inputs": {"type": ["array", "object"]},
            "params": {"type": "object"},
        },
    },
    "Predictions": {
        "type": "object",
        "required": ["predictions"],
        "properties": {"predictions": {"type": "array", "items": {}}},
    },
    "Rows": {
        "type": "object",
        "required": ["rows"],
        "additionalProperties": False,
        "properties": {
            "rows": {"type": "array", "items": {"type": ["array", "object"]}},
            "id": {"type": "string", "maxLength": 200},
            "parameters": {"type": "object"},
        },
    },
    "Error": {
        "type": "object",
        "required": ["error", "code", "message"],
        "properties": {
            "error": {"type": "string"},
            "code": {"type": "string"},
            "message": {"type": "string"},
            "hint": {"type": ["string", "null"]},
            "details": {"type": "object"},
        },
    },
    "Object": {"type": "object"},
}


def describe(routes: Routes) -> dict[str, Any]:
    """Give the description of a server that serves these endpoints."""
    paths: dict[str, Any] = {
        "/v2": _read("Name, version and extensions of the server."),
        "/v2/health/live": _read("Whether the server runs."),
        "/v2/health/ready": _read("Whether it follows its plans."),
        "/status": _read("What is served, and what waits to be handed on."),
    }
    for name, route in sorted(routes.items()):
        newest = route.versions[route.shares[0][0]].entity.signature
        model, endpoint = f"/v2/models/{name}", f"/endpoints/{name}"
        paths[model] = _read(f"What `{name}` takes and gives.")
        paths[f"{model}/ready"] = _read(f"Whether `{name}` is ready.")
        paths[f"{model}/infer"] = _ask(f"Predict with `{name}`.", "InferRequest", "InferAnswer", newest)
        paths[f"{endpoint}/invocations"] = _ask(
            f"Predict with `{name}`, in MLflow's forms.", "Invocation", "Predictions", None
        )
        paths[f"{endpoint}/predict"] = _ask(f"Predict rows with `{name}`.", "Rows", "Predictions", None)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Noria model server", "version": __version__},
        "paths": paths,
        "components": {"schemas": _SCHEMAS},
    }


def _read(summary: str) -> dict[str, Any]:
    return {"get": {"summary": summary, "responses": {"200": _content("Object"), **_REFUSED}}}


def _ask(summary: str, asked: str, answered: str, signature: Signature | None) -> dict[str, Any]:
    body: dict[str, Any] = {"schema": {"$ref": f"#/components/schemas/{asked}"}}
    if signature is not None:
        body["example"] = {
            "inputs": [_example(spec.name, spec.datatype, spec.shape) for spec in signature.inputs]
        }
    return {
        "post": {
            "summary": summary,
            "requestBody": {"required": True, "content": {_JSON: body}},
            "responses": {"200": _content(answered), **_REFUSED},
        }
    }


def _example(name: str, datatype: str, shape: list[int]) -> dict[str, Any]:
    one = [1, *shape[1:]]
    n_values = 1
    for axis in one:
        n_values *= axis
    value: Any = {"BYTES": "a", "BOOL": True}.get(datatype, 0)
    return {"name": name, "datatype": datatype, "shape": one, "data": [value] * n_values}


def _content(schema: str) -> dict[str, Any]:
    return {
        "description": "The answer.",
        "content": {_JSON: {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
    }
