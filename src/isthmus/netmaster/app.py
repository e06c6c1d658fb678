"""The routes as a table, and the application made of it."""

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from isthmus import __version__
from isthmus.netmaster import routes
from isthmus.netmaster.answers import MAX_BODY_BYTES, PENDING_HEADER, STATUS, TooLargeError, answer_errors
from isthmus.netmaster.routes import Surroundings
from isthmus.wire.rest_bodies import (
    GlobalBody,
    GlobalInspection,
    NetworkBody,
    NetworkInspection,
    TenantBody,
    TenantInspection,
    VersionBody,
)

ROOT = "/api/v1/"
COLLECTIONS = ("globals", "networks", "tenants")

Scope = MutableMapping[str, Any]
AsgiApp = Callable[[Scope, Any, Any], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Route:
    """Method and path, what serves them, what it takes and answers, and by which errors it may refuse."""

    methods: tuple[str, ...]
    path: str
    serve: Callable[..., Awaitable[Response]]
    answers: Any
    takes: type[BaseModel] | None = None
    refusals: tuple[HTTPStatus, ...] = (HTTPStatus.SERVICE_UNAVAILABLE,)


_READ, _WRITE, _DELETE = ("GET",), ("POST", "PUT"), ("DELETE",)
_BAD, _ABSENT, _CONFLICT, _AWAY = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.CONFLICT,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
_ONE = (_BAD, _ABSENT, _AWAY)
_ANY = (_BAD, _ABSENT, _CONFLICT, _AWAY)
_TENANT, _NETWORK, _GLOBAL = (f"{ROOT}{name}/{{key}}/" for name in ("tenants", "networks", "globals"))

ROUTES = (
    Route(_READ, "/version", routes.version, VersionBody, None, ()),
    Route(_READ, f"{ROOT}tenants/", routes.list_tenants, list[TenantBody]),
    Route(_READ, _TENANT, routes.read_tenant, TenantBody, None, _ONE),
    Route(_WRITE, _TENANT, routes.create_tenant, TenantBody, TenantBody, _ANY),
    Route(_DELETE, _TENANT, routes.delete_tenant, str, None, _ANY),
    Route(_READ, f"{ROOT}inspect/tenants/{{key}}/", routes.inspect_tenant, TenantInspection, None, _ONE),
    Route(_READ, f"{ROOT}networks/", routes.list_networks, list[NetworkBody]),
    Route(_READ, _NETWORK, routes.read_network, NetworkBody, None, _ONE),
    Route(_WRITE, _NETWORK, routes.create_network, NetworkBody, NetworkBody, _ANY),
    Route(_DELETE, _NETWORK, routes.delete_network, str, None, _ANY),
    Route(_READ, f"{ROOT}inspect/networks/{{key}}/", routes.inspect_network, NetworkInspection, None, _ONE),
    Route(_READ, f"{ROOT}globals/", routes.list_globals, list[GlobalBody]),
    Route(_READ, _GLOBAL, routes.read_global, GlobalBody, None, _ONE),
    Route(_READ, f"{ROOT}inspect/globals/{{key}}/", routes.inspect_global, GlobalInspection, None, _ONE),
)


def make_app(surroundings: Surroundings) -> AsgiApp:
    """The application that serves ROUTES, and /openapi.json that describes them."""
    app = FastAPI(
        title="netmaster",
        description="Contiv's REST API, served by Isthmus.",
        version=__version__,
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
    )
    app.state.surroundings = surroundings
    for route in ROUTES:
        for method in route.methods:
            _add(app, route, method)
    answer_errors(app)
    app.add_exception_handler(HTTPException, _no_such_route)
    return _limited(_with_slash(app))


def _add(app: FastAPI, route: Route, method: str) -> None:
    app.add_api_route(
        route.path.replace("{key}", "{key:path}"),  # a slash within a key arrives as %2F, but is matched decoded
        route.serve,
        methods=[method],
        operation_id=f"{route.serve.__name__}_{method.lower()}",
        response_model=None,
        responses=_answers(route),
        openapi_extra=_takes(route.takes) if route.takes else None,
    )


def _answers(route: Route) -> dict[int | str, dict[str, Any]]:
    good: dict[str, Any] = {"description": "Done", "model": route.answers}
    if "networks" in route.path and "GET" not in route.methods:
        good["headers"] = {PENDING_HEADER: {"description": _PENDING, "schema": {"type": "string"}}}
    answers: dict[int | str, dict[str, Any]] = {int(HTTPStatus.OK): good}
    too_large = (STATUS[TooLargeError],) if route.takes else ()
    answers.update((int(status), _refusal(status)) for status in (*route.refusals, *too_large))
    return answers


_PENDING = "The nodes that are alive but have not followed yet, as NAME or NAME: REASON, separated by commas."


def _refusal(status: HTTPStatus) -> dict[str, Any]:
    kinds = ", ".join(kind.__name__.removesuffix("Error") for kind, code in STATUS.items() if code is status)
    text = {"text/plain": {"schema": {"type": "string", "description": "Why, for the operator."}}}
    return {"description": f"{status.phrase} ({kinds})", "content": text}


def _takes(model: type[BaseModel]) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


async def _no_such_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path = request.url.path
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        text = f"{request.method} is not allowed on {path}"
    else:
        text = f"{path} does not exist; under {ROOT} there are {', '.join(COLLECTIONS)}"
    return PlainTextResponse(f"{text}\n", error.status_code, error.headers)


def _with_slash(app: AsgiApp) -> AsgiApp:
    """Let every path under the root be written without its last slash, too."""

    async def served(scope: Scope, receive: Any, send: Any) -> None:
        path = scope.get("path", "")
        if path.startswith(ROOT) and not path.endswith("/"):
            scope["path"] = path + "/"
        await app(scope, receive, send)

    return served


def _limited(app: AsgiApp) -> AsgiApp:
    """Let no request's body grow beyond the limit: who reads more of it gets an error."""

    async def served(scope: Scope, receive: Any, send: Any) -> None:
        length = 0

        async def counted() -> Any:
            nonlocal length
            message = await receive()
            length += len(message.get("body", b""))
            if length > MAX_BODY_BYTES:
                raise TooLargeError(f"the request's body is longer than {MAX_BODY_BYTES} bytes")
            return message

        await app(scope, counted, send)

    return served
