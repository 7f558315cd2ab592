"""The routes of `serve` as an OpenAPI document."""

from __future__ import annotations

from typing import Any

from layerloop.version import __version__

CELLS: dict[str, dict[str, Any]] = {  # what a column of a table takes; null where it is missing
    "number": {"type": ["number", "null"]},
    "text": {"type": ["string", "number", "boolean", "null"]},
    "date": {"type": ["string", "null"], "description": "an ISO date, 2026-11-25 or 2026-11-25T10:00"},
}


REFUSED = ("400", "401", "403", "408", "413", "415", "421", "422", "431", "503")  # with a reason


def description(about: dict[str, Any], most: int, largest: float = 3.4e38) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of a served model.

    Parameters
    ----------
    about : dict
        What GET /model answers.
    most : int
        Rows of one request.
    largest : float
        The largest number that the model can hold; those of a table it puts on a scale of its own before.

    Examples
    --------
    >>> about = {"model": "", "predicts": "values", "inputs": 2, "columns": [], "reads": {}}
    >>> sorted(description(about, 10)["paths"])
    ['/healthz', '/model', '/predict']
    """
    failed = {"description": "why it was refused", "content": _json({"$ref": "#/components/schemas/Error"})}
    predict = {
        "summary": "What the model says of each row",
        "security": [{"token": []}],
        "requestBody": {"required": True, "content": _json(_rows(about, most, largest))},
        "responses": {
            "200": {"description": "one answer a row", "content": _json(_answers(about["predicts"]))},
            **dict.fromkeys(REFUSED, failed),
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
        "components": {
            "schemas": {"Error": _object({"error": {"type": "string"}})},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _get(summary: str) -> dict[str, Any]:
    return {"summary": summary, "responses": {"200": {"description": "plain data", "content": _json(_object({}))}}}


def _rows(about: dict[str, Any], most: int, largest: float) -> dict[str, Any]:
    """Return the schema of a request: rows as lists, or as objects where columns have names."""
    width, names, reads = about["inputs"], about["columns"], about["reads"]
    row: dict[str, Any] = {"type": "array", "minItems": width, "maxItems": width}
    number = {"type": "number", "minimum": -largest, "maximum": largest}
    cells = [CELLS[reads[name]] if reads else number for name in names]
    row |= {"prefixItems": cells} if reads else {"items": number}
    if names:
        by_name = _object(dict(zip(names, cells, strict=True))) | {"additionalProperties": False}
        row = {"anyOf": [row, by_name]}
    rows = {"type": "array", "items": row, "minItems": 1, "maxItems": most}
    return {**_object({"rows": rows}), "additionalProperties": False}


def _answers(kind: str) -> dict[str, Any]:
    answer = _object({"prediction": {"type": ["number", "array"], "items": {"type": "number"}}})
    answer["properties"] |= {end: {"type": "number"} for end in ("lower", "upper")}  # where the model has intervals
    if kind != "values":
        number = {"type": "number", "minimum": 0, "maximum": 1}
        label = {"type": ["string", "number", "boolean", "array"]}  # an array where several may be right at once
        shares = {"type": "object", "additionalProperties": number}
        answer = _object({"prediction": label, "probabilities": shares})
        answer["properties"]["probability"] = number
    return _object({"predictions": {"type": "array", "items": answer}})


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}
