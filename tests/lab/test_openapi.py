"""What `serve` says of itself holds: Schemathesis asks whatever the OpenAPI document allows and forbids."""

from __future__ import annotations

from typing import Any

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from asking import HOST, PORT
from layerloop import Chain, Dense, Inputs, relu, softmax
from layerloop.lab.guards import Site
from layerloop.lab.predictor import prediction_app

SITE = Site(PORT)
SENT = {"Host": HOST, "Authorization": f"Bearer {SITE.token}"}
NUMBERS = prediction_app(Chain(Dense(3, 4, relu), Dense(4, 2), softmax, seed=1), "classes", SITE)
NAMES = prediction_app(Chain(Dense(3, 1), seed=1, inputs=Inputs(columns=("a", "b", "c"))), "values", SITE)
by_number = schemathesis.openapi.from_asgi("/openapi.json", NUMBERS, headers={"Host": HOST})
by_name = schemathesis.openapi.from_asgi("/openapi.json", NAMES, headers={"Host": HOST})
many = settings(max_examples=60, suppress_health_check=list(HealthCheck))


def asked(case: Any) -> None:
    """Ask, and hold the answer against the document.

    It cannot say which rows are so large that the answer is not finite; those may be refused though it allows them.
    """
    response = case.call(headers=SENT)
    too_large = response.status_code == 422 and "has no finite answer" in response.text
    if too_large:
        rows = [row.values() if isinstance(row, dict) else row for row in case.body["rows"]]
        assert max(abs(x) for row in rows for x in row) > 1e36
    excluded = [positive_data_acceptance] if too_large else []
    case.validate_response(response, excluded_checks=excluded, transport_kwargs={"headers": SENT})


@by_number.parametrize()
@many
def test_every_answer_of_a_model_of_numbers_is_as_described(case: Any) -> None:
    asked(case)


@by_name.parametrize()
@many
def test_every_answer_of_a_model_of_columns_is_as_described(case: Any) -> None:
    asked(case)
