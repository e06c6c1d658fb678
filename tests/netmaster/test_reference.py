"""Every route, field and status stands in docs/reference/rest.md."""

from pathlib import Path

import pytest
from pydantic import BaseModel

from isthmus.netmaster.answers import PENDING_HEADER, STATUS
from isthmus.netmaster.app import COLLECTIONS, ROUTES
from isthmus.wire import rest_bodies

PAGE = (Path(__file__).parents[2] / "docs/reference/rest.md").read_text()

BODIES = [each for each in vars(rest_bodies).values() if isinstance(each, type) and issubclass(each, BaseModel)]


@pytest.mark.parametrize(
    "told",
    [
        *(f"`{method} {route.path}`" for route in ROUTES for method in route.methods),
        *(f"| {int(status)} |" for status in STATUS.values()),
        f"`{PENDING_HEADER}`",
    ],
)
def test_it_is_told(told: str) -> None:
    assert told in PAGE


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.__name__)
def test_every_field_is_told(body: type[BaseModel]) -> None:
    unlinked = body.model_fields.keys() - {"Config", "Oper", "type", "link_sets"}
    assert [field for field in unlinked if f"`{field}`" not in PAGE] == []


def test_the_collections_are_those_of_the_routes() -> None:
    assert {route.path.split("/")[3] for route in ROUTES if "api" in route.path} - {"inspect"} == {*COLLECTIONS}
