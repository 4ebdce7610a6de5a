"""Generated requests to every operation of the OpenAPI: no answer of 5xx, every answer as the schema says.

Half of the path parameters are those of real things, so that requests reach what lies behind "there is no such thing".
Reading operations share one data folder; each writing one gets a copy of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest
import schemathesis
from api_house import House
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from test_rights import numbers

from backend.api.app import create_app

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = 15  # an operation

SCHEMA = schemathesis.openapi.from_dict(create_app(cast(Any, None), ui=False).openapi())
OPERATIONS = [found.ok() for found in SCHEMA.get_all_operations()]
NAMES = [f"{operation.method.upper()} {operation.path}" for operation in OPERATIONS]


def real_or_generated(known: dict[str, str], method: str) -> Callable[..., Any]:
    """Path parameters of real things every other time; what is deleted is generated, or nothing would be left."""

    def chosen(case: schemathesis.Case) -> st.SearchStrategy[schemathesis.Case]:
        generated = dict(case.path_parameters or {})
        real = {name: known.get(name, value) for name, value in generated.items()}

        def with_values(values: dict[str, Any]) -> schemathesis.Case:
            case.path_parameters = values
            return case

        return st.sampled_from([generated, real] if generated and method != "DELETE" else [generated]).map(with_values)

    return chosen


@pytest.mark.slow
@pytest.mark.parametrize("operation", OPERATIONS, ids=NAMES)
def test_every_answer_is_as_the_schema_says(operation: Any, request: pytest.FixtureRequest) -> None:
    house: House = request.getfixturevalue("shared" if operation.method == "get" else "house")
    known = numbers(house)
    strategy = operation.as_strategy().flatmap(real_or_generated(known, operation.method.upper()))

    @settings(
        max_examples=EXAMPLES,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        deadline=None,
        derandomize=True,
        database=None,
    )
    @given(case=strategy)
    def ask(case: schemathesis.Case) -> None:
        sent = case.as_transport_kwargs(base_url="http://127.0.0.1:8501")
        sent.pop("cookies", None)
        headers = {name: value for name, value in (sent.pop("headers", None) or {}).items()}
        answer = house.http.request(**sent, headers=headers)
        case.validate_response(answer, checks=CHECKS)

    ask()


def test_there_are_many_operations() -> None:
    assert len(OPERATIONS) > 40
