"""The plugin socket: Docker's calls by name, a deadline for each, errors in Docker's form."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from structlog.typing import FilteringBoundLogger

from isthmus.core.errors import EdgeError, IsthmusError
from isthmus.netplugin.driver import Driver
from isthmus.wire import docker

DEADLINE_S = 9.0  # the engine itself waits for ever, and its user with it

# Answered without looking at anything: one error here and the engine gives the driver up until it restarts.
CONSTANTS: dict[str, bytes] = {
    "Plugin.Activate": docker.ACTIVATION,
    "NetworkDriver.GetCapabilities": docker.NETWORK_CAPABILITIES,
    "NetworkDriver.DiscoverNew": docker.OK,
    "NetworkDriver.DiscoverDelete": docker.OK,
    "IpamDriver.GetCapabilities": docker.IPAM_CAPABILITIES,
    "IpamDriver.GetDefaultAddressSpaces": docker.ADDRESS_SPACES,
}


@dataclass(frozen=True, slots=True)
class Call:
    """How one call is read, and the stage that answers it."""

    parse: Callable[[bytes], Any]
    answer: Callable[[Any], Awaitable[bytes]]


def calls(driver: Driver) -> dict[str, Call]:
    """Every call of the network and the IPAM driver that is not a constant, by name."""
    return {
        "NetworkDriver.AllocateNetwork": Call(docker.parse_allocate_network, driver.allocate_network),
        "NetworkDriver.FreeNetwork": Call(docker.parse_free_network, driver.free_network),
        "NetworkDriver.CreateNetwork": Call(docker.parse_create_network, driver.create_network),
        "NetworkDriver.DeleteNetwork": Call(docker.parse_delete_network, driver.delete_network),
        "NetworkDriver.CreateEndpoint": Call(docker.parse_create_endpoint, driver.create_endpoint),
        "NetworkDriver.EndpointOperInfo": Call(docker.parse_endpoint_info, driver.endpoint_info),
        "NetworkDriver.DeleteEndpoint": Call(docker.parse_delete_endpoint, driver.delete_endpoint),
        "NetworkDriver.Join": Call(docker.parse_join, driver.join),
        "NetworkDriver.Leave": Call(docker.parse_leave, driver.leave),
        "NetworkDriver.ProgramExternalConnectivity": Call(
            docker.parse_program_external_connectivity, driver.program_external_connectivity
        ),
        "NetworkDriver.RevokeExternalConnectivity": Call(
            docker.parse_revoke_external_connectivity, driver.revoke_external_connectivity
        ),
        "IpamDriver.RequestPool": Call(docker.parse_request_pool, driver.request_pool),
        "IpamDriver.ReleasePool": Call(docker.parse_release_pool, driver.release_pool),
        "IpamDriver.RequestAddress": Call(docker.parse_request_address, driver.request_address),
        "IpamDriver.ReleaseAddress": Call(docker.parse_release_address, driver.release_address),
    }


def plugin_app(driver: Driver, explain: Callable[[], str], log: FilteringBoundLogger) -> Starlette:
    """The application behind the plugin socket; `explain` says what a call that took too long may have waited for."""
    constant = [Route(f"/{name}", _constant(answer), methods=["POST"]) for name, answer in CONSTANTS.items()]
    live = [
        Route(f"/{name}", _live(name, call, explain, log), methods=["POST"]) for name, call in calls(driver).items()
    ]
    return Starlette(routes=[*constant, *live])


def _constant(answer: bytes) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(_request: Request) -> Response:
        return Response(answer, media_type=docker.CONTENT_TYPE)

    return endpoint


def _live(
    name: str, call: Call, explain: Callable[[], str], log: FilteringBoundLogger
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            async with asyncio.timeout(DEADLINE_S):
                answer = await call.answer(call.parse(await request.body()))
        except (IsthmusError, EdgeError) as error:
            log.warning("refused a call of the engine", call=name, reason=str(error))
            return _refusal(str(error))
        except TimeoutError:
            log.warning("a call of the engine ran into its deadline", call=name, deadline_s=DEADLINE_S)
            return _refusal(f"{name} was not done within {DEADLINE_S:.0f} s: {explain()}")
        except Exception:
            log.exception("a bug in a call of the engine", call=name)
            return _refusal(f"{name} failed by a bug of netplugin; its log has the trace")
        return Response(answer, media_type=docker.CONTENT_TYPE)

    return endpoint


def _refusal(text: str) -> Response:
    return Response(docker.render_error(text), status_code=500, media_type=docker.CONTENT_TYPE)
