"""Every route, field and status stands in docs/reference/rest.md."""

from pathlib import Path

import pytest
from pydantic import BaseModel

from isthmus.netmaster.answers import PENDING_HEADER, STATUS
from isthmus.netmaster.app import COLLECTIONS, ROUTES
from isthmus.wire.rest import bodies, states

PAGE = (Path(__file__).parents[2] / "docs/reference/rest.md").read_text()

DEFINED = {**vars(bodies), **vars(states)}
BODIES = [each for each in DEFINED.values() if isinstance(each, type) and issubclass(each, BaseModel)]


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
    names = {field.serialization_alias or name for name, field in body.model_fields.items()}
    unlinked = names - {"Config", "Oper", "type", "link-sets"}
    assert [field for field in unlinked if f"`{field}`" not in PAGE] == []


def test_the_collections_are_those_of_the_routes() -> None:
    others = {"inspect", "check", "backup", "restore"}
    assert {route.path.split("/")[3] for route in ROUTES if "api" in route.path} - others == {*COLLECTIONS}
