"""The routes of `serve` as an OpenAPI document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from layerloop.version import __version__

if TYPE_CHECKING:
    from layerloop.network import Chain


def description(m: Chain, about: dict[str, Any], most: int) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of a served network.

    Parameters
    ----------
    m : Chain
    about : dict
        What GET /model answers.
    most : int
        Rows of one request.

    Examples
    --------
    >>> from layerloop import Chain, Dense
    >>> sorted(description(Chain(Dense(2, 1)), {"model": "", "predicts": "values"}, 10)["paths"])
    ['/healthz', '/model', '/predict']
    """
    failed = {"description": "why it was refused", "content": _json({"$ref": "#/components/schemas/Error"})}
    predict = {
        "summary": "What the model says of each row",
        "requestBody": {"required": True, "content": _json(_rows(m, most))},
        "responses": {
            "200": {"description": "one answer a row", "content": _json(_answers(about["predicts"]))},
            **dict.fromkeys(("400", "413", "415", "422", "503"), failed),
        },
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": about["model"] or "layerloop", "version": __version__},
        "paths": {
            "/predict": {"post": predict},
            "/model": {"get": _get("What the model takes and answers")},
            "/healthz": {"get": _get("That the server is there")},
        },
        "components": {"schemas": {"Error": _object(error={"type": "string"})}},
    }


def _get(summary: str) -> dict[str, Any]:
    return {"summary": summary, "responses": {"200": {"description": "plain data", "content": _json(_object())}}}


def _rows(m: Chain, most: int) -> dict[str, Any]:
    """Return the schema of a request: rows as lists, or as objects where columns have names."""
    width, number = m.architecture.n_in, {"type": "number"}
    row: dict[str, Any] = {"type": "array", "items": number, "minItems": width, "maxItems": width}
    if m.inputs.columns:
        row = {"anyOf": [row, _object(**dict.fromkeys(m.inputs.columns, number))]}
    rows = {"type": "array", "items": row, "minItems": 1, "maxItems": most}
    return {**_object(rows=rows), "additionalProperties": False}


def _answers(kind: str) -> dict[str, Any]:
    answer = _object(prediction={"type": ["number", "array"], "items": {"type": "number"}})
    if kind == "classes":
        number = {"type": "number", "minimum": 0, "maximum": 1}
        answer = _object(
            prediction={"type": "string"},
            probability=number,
            probabilities={"type": "object", "additionalProperties": number},
        )
    return _object(predictions={"type": "array", "items": answer})


def _object(**properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}
