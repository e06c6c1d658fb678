"""Outcomes and errors to HTTP answers: JSON for the one, a line of plain text for the other."""

import json
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel

from isthmus.core.errors import (
    ConflictError,
    ExhaustedError,
    InvalidError,
    IsthmusError,
    NotFoundError,
    StoreUnavailableError,
    UnreadableRecordError,
)
from isthmus.wire.rest.answers import render

PENDING_HEADER = "Isthmus-Pending"
MAX_BODY_BYTES = 2**20  # a thousand times what the largest object needs


class TooLargeError(IsthmusError):
    """The request's body is longer than any object is."""


STATUS: dict[type[Exception], HTTPStatus] = {
    InvalidError: HTTPStatus.BAD_REQUEST,
    TooLargeError: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    NotFoundError: HTTPStatus.NOT_FOUND,
    ConflictError: HTTPStatus.CONFLICT,
    ExhaustedError: HTTPStatus.CONFLICT,
    StoreUnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    UnreadableRecordError: HTTPStatus.INTERNAL_SERVER_ERROR,
}


def answer(shown: BaseModel | Iterable[BaseModel] | str, unready: Iterable[str] = ()) -> Response:
    """200 with an object, an array of them or a text; `unready` nodes are named in a header."""
    if isinstance(shown, str):
        content = json.dumps(shown)
    elif isinstance(shown, BaseModel):
        content = json.dumps(render(shown))
    else:
        content = json.dumps([render(each) for each in shown])
    names = ", ".join(unready)
    return Response(content, media_type="application/json", headers={PENDING_HEADER: names} if names else None)


def answer_errors(app: FastAPI) -> None:
    """Let `app` answer what is raised in it by the table above, in plain text."""
    for kind, status in STATUS.items():
        app.add_exception_handler(kind, _refusal(status))


def _refusal(status: HTTPStatus) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def refuse(_request: Request, error: Exception) -> Response:
        # A half of a surrogate pair may come in as JSON's escape, but is no UTF-8.
        return PlainTextResponse(f"{error}\n".encode(errors="backslashreplace"), status)

    return refuse
