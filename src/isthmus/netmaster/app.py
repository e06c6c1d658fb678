"""The routes as a table, and the application made of it."""

from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from isthmus import __version__
from isthmus.core.errors import NotFoundError
from isthmus.netmaster import backup, checks, leftovers, routes
from isthmus.netmaster.answers import MAX_BODY_BYTES, PENDING_HEADER, STATUS, TooLargeError, answer_errors
from isthmus.netmaster.described import DescribedApp
from isthmus.netmaster.kinds import KINDS, NODES, Kind
from isthmus.netmaster.routes import Objects, Surroundings
from isthmus.wire.rest.bodies import BackupBody, CheckBody, EndpointBody, FaultBody, RestoredBody, VersionBody
from isthmus.wire.rest.requests import NO_ACI
from isthmus.wire.rest.states import EndpointInspection

ROOT = "/api/v1/"
ACI_COLLECTIONS = ("aciGws", "extContractsGroups")

Scope = MutableMapping[str, Any]
AsgiApp = Callable[[Scope, Any, Any], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Route:
    """Method and path, what serves them, what it takes and answers, and by which errors it may refuse.

    `names` are the description's names of it, one a method. Where `is_awaited`, nodes that have not followed are named
    in a header. A body is of `max_body_bytes` at most.
    """

    methods: tuple[str, ...]
    path: str
    serve: Callable[..., Awaitable[Response]]
    names: tuple[str, ...]
    answers: Any
    takes: type[BaseModel] | None = None
    refusals: tuple[HTTPStatus, ...] = (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.INTERNAL_SERVER_ERROR)
    parameters: tuple[str, ...] = ()
    is_awaited: bool = False
    max_body_bytes: int = MAX_BODY_BYTES


_READ, _WRITE, _DELETE = ("GET",), ("POST", "PUT"), ("DELETE",)
_BAD, _ABSENT, _CONFLICT, _AWAY = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.CONFLICT,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
_UNREADABLE = HTTPStatus.INTERNAL_SERVER_ERROR
_ALL = (_AWAY, _UNREADABLE)
_ONE = (_BAD, _ABSENT, *_ALL)
_ANY = (_BAD, _ABSENT, _CONFLICT, *_ALL)


def _routes_of(kind: Kind[Any, Any]) -> Iterator[Route]:
    """The five routes of a kind of objects, fewer where the API does not write them."""
    objects, many, waits = Objects(kind), kind.collection, kind.title is not None
    one, state = _paths_of(kind)
    yield Route(_READ, f"{ROOT}{many}/", objects.list_all, (f"list_{many}",), list[kind.body])  # type: ignore[name-defined]
    yield Route(_READ, one, objects.read, (f"read_{many}",), kind.body, None, _ONE)
    if kind.create:
        names = (f"post_{many}", f"put_{many}")
        yield Route(_WRITE, one, objects.create, names, kind.body, kind.body, _ANY, is_awaited=waits)
    if kind is NODES:
        yield Route(_DELETE, one, leftovers.delete_node, (f"delete_{many}",), str, None, _ANY)
    elif kind.remove:
        yield Route(_DELETE, one, objects.delete, (f"delete_{many}",), str, None, _ANY, is_awaited=waits)
    yield Route(_READ, state, objects.inspect, (f"inspect_{many}",), kind.inspection, None, _ONE)


def _paths_of(kind: Kind[Any, Any]) -> tuple[str, str]:
    """Where one of a kind is, and where its state is."""
    return f"{ROOT}{kind.collection}/{{key}}/", f"{ROOT}inspect/{kind.collection}/{{key}}/"


def _key_forms() -> dict[str, str]:
    return {path: kind.key_form for kind in KINDS for path in _paths_of(kind)}


_ENDPOINT = f"{ROOT}endpoints/{{key}}/"
_INSPECT_ENDPOINT = f"{ROOT}inspect/endpoints/{{key}}/"
_RESTORE = f"{ROOT}restore/"
_CLEAN_UP = "/debug/epcleanup/tenant/{tenant}/{kind}/{key}"

ROUTES = (
    Route(_READ, "/version", routes.version, ("version",), VersionBody, None, ()),
    *(route for kind in KINDS for route in _routes_of(kind)),
    Route(_READ, f"{ROOT}endpoints/", leftovers.list_endpoints, ("list_endpoints",), list[EndpointBody]),
    Route(_DELETE, _ENDPOINT, leftovers.delete_endpoint, ("delete_endpoint",), str, None, _ANY, ("force",)),
    Route(_READ, _INSPECT_ENDPOINT, leftovers.inspect_endpoint, ("inspect_endpoint",), EndpointInspection, None, _ANY),
    Route(("POST",), f"{ROOT}check/", checks.check, ("check",), list[FaultBody], CheckBody, (_BAD,)),
    Route(_READ, f"{ROOT}backup/", backup.backup, ("backup",), BackupBody),
    Route(
        methods=("POST",),
        path=_RESTORE,
        serve=backup.restore,
        names=("restore",),
        answers=RestoredBody,
        takes=BackupBody,
        refusals=(_BAD, _CONFLICT, _AWAY),
        parameters=("dry-run",),
        max_body_bytes=backup.MAX_BACKUP_BYTES,
    ),
    Route(_DELETE, _CLEAN_UP, leftovers.clean_up, ("clean_up",), list[EndpointBody], None, _ANY),
)

COLLECTIONS = tuple(sorted({*(kind.collection for kind in KINDS), "endpoints"}))


def make_app(surroundings: Surroundings) -> AsgiApp:
    """The application that serves ROUTES, and /openapi.json that describes them."""
    app = DescribedApp(
        _key_forms(),
        title="netmaster",
        description="Contiv's REST API, served by Isthmus.",
        version=__version__,
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
    )
    app.state.surroundings = surroundings
    for route in ROUTES:
        for method, name in zip(route.methods, route.names, strict=True):
            _add(app, route, method, name)
    for collection in ACI_COLLECTIONS:
        for path in (f"{ROOT}{collection}/{{key:path}}", f"{ROOT}inspect/{collection}/{{key:path}}"):
            app.add_api_route(path, _no_aci, methods=[*_READ, *_WRITE, *_DELETE], include_in_schema=False)
    answer_errors(app)
    app.add_exception_handler(HTTPException, _no_such_route)
    _describe_requests(app)
    return _limited(_with_slash(app))


def _add(app: FastAPI, route: Route, method: str, name: str) -> None:
    app.add_api_route(
        route.path.replace("{key}", "{key:path}"),  # a slash within a key arrives as %2F, but is matched decoded
        route.serve,
        methods=[method],
        operation_id=name,
        response_model=None,
        responses=_answers(route),
        openapi_extra=_extra(route),
    )


def _answers(route: Route) -> dict[int | str, dict[str, Any]]:
    good: dict[str, Any] = {"description": "Done", "model": route.answers}
    if route.is_awaited:
        good["headers"] = {PENDING_HEADER: {"description": _PENDING, "schema": {"type": "string"}}}
    answers: dict[int | str, dict[str, Any]] = {int(HTTPStatus.OK): good}
    too_large = (STATUS[TooLargeError],) if route.takes else ()
    answers.update((int(status), _refusal(status)) for status in (*route.refusals, *too_large))
    return answers


_PENDING = (
    "The nodes that are alive but have not followed yet, as NAME or NAME: REASON, separated by commas; "
    "or that no node is alive."
)


def _refusal(status: HTTPStatus) -> dict[str, Any]:
    kinds = ", ".join(kind.__name__.removesuffix("Error") for kind, code in STATUS.items() if code is status)
    text = {"text/plain": {"schema": {"type": "string", "description": "Why, for the operator."}}}
    return {"description": f"{status.phrase} ({kinds})", "content": text}


def _extra(route: Route) -> dict[str, Any]:
    extra: dict[str, Any] = {}
    if route.takes:
        schema = {"$ref": f"#/components/schemas/{route.takes.__name__}"}
        extra["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    if route.parameters:
        switch = {"type": "string", "enum": ["true", "false"]}
        extra["parameters"] = [{"name": name, "in": "query", "schema": switch} for name in route.parameters]
    return extra


def _describe_requests(app: FastAPI) -> None:
    """Describe the bodies that are only taken, too: FastAPI looks at answers, as we parse requests ourselves."""
    describe = app.openapi

    def described() -> dict[str, Any]:
        document = describe()
        schemas = document["components"]["schemas"]
        for taken in (route.takes for route in ROUTES if route.takes):
            schema = taken.model_json_schema(ref_template="#/components/schemas/{model}")
            for name, part in {**schema.pop("$defs", {}), taken.__name__: schema}.items():
                schemas.setdefault(name, part)
        return document

    app.openapi = described  # type: ignore[method-assign]  # FastAPI's own way to extend it


async def _no_aci(_request: Request) -> Response:
    raise NotFoundError(NO_ACI)


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


_LIMITS = {route.path.rstrip("/"): route.max_body_bytes for route in ROUTES if route.max_body_bytes != MAX_BODY_BYTES}


def _limited(app: AsgiApp) -> AsgiApp:
    """Let no request's body grow beyond its route's limit: who reads more of it gets an error."""

    async def served(scope: Scope, receive: Any, send: Any) -> None:
        limit = _LIMITS.get(scope.get("path", "").rstrip("/"), MAX_BODY_BYTES)
        length = 0

        async def counted() -> Any:
            nonlocal length
            message = await receive()
            length += len(message.get("body", b""))
            if length > limit:
                raise TooLargeError(f"the request's body is longer than {limit} bytes")
            return message

        await app(scope, counted, send)

    return served
