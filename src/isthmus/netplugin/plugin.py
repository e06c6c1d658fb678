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

Ready = Callable[[], Awaitable[None]]

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
    """How one call is read, the stage that answers it, and whether that asks etcd."""

    parse: Callable[[bytes], Any]
    answer: Callable[[Driver, Any], Awaitable[bytes]]
    needs_store: bool = True


CALLS: dict[str, Call] = {
    "NetworkDriver.AllocateNetwork": Call(docker.parse_allocate_network, Driver.allocate_network, needs_store=False),
    "NetworkDriver.FreeNetwork": Call(docker.parse_free_network, Driver.free_network, needs_store=False),
    "NetworkDriver.CreateNetwork": Call(docker.parse_create_network, Driver.create_network, needs_store=False),
    "NetworkDriver.DeleteNetwork": Call(docker.parse_delete_network, Driver.delete_network, needs_store=False),
    "NetworkDriver.CreateEndpoint": Call(docker.parse_create_endpoint, Driver.create_endpoint),
    "NetworkDriver.EndpointOperInfo": Call(docker.parse_endpoint_info, Driver.endpoint_info),
    "NetworkDriver.DeleteEndpoint": Call(docker.parse_delete_endpoint, Driver.delete_endpoint),
    "NetworkDriver.Join": Call(docker.parse_join, Driver.join),
    "NetworkDriver.Leave": Call(docker.parse_leave, Driver.leave),
    "NetworkDriver.ProgramExternalConnectivity": Call(
        docker.parse_program_external_connectivity, Driver.program_external_connectivity, needs_store=False
    ),
    "NetworkDriver.RevokeExternalConnectivity": Call(
        docker.parse_revoke_external_connectivity, Driver.revoke_external_connectivity, needs_store=False
    ),
    "IpamDriver.RequestPool": Call(docker.parse_request_pool, Driver.request_pool, needs_store=False),
    "IpamDriver.ReleasePool": Call(docker.parse_release_pool, Driver.release_pool, needs_store=False),
    "IpamDriver.RequestAddress": Call(docker.parse_request_address, Driver.request_address),
    "IpamDriver.ReleaseAddress": Call(docker.parse_release_address, Driver.release_address),
}
"""Every call that is not a constant, by name."""


def plugin_app(driver: Driver, ready: Ready, explain: Callable[[], str], log: FilteringBoundLogger) -> Starlette:
    """The application behind the plugin socket.

    `ready` returns when etcd may be asked, and raises soon where that is known to be vain: a call that would wait
    for its turn first, or for the world, learns it at once. `explain` says what a call that took too long may have
    waited for.
    """
    constant = [Route(f"/{name}", _constant(answer), methods=["POST"]) for name, answer in CONSTANTS.items()]
    answer = _Answer(driver, ready, explain, log)
    live = [Route(f"/{name}", answer.to(name, call), methods=["POST"]) for name, call in CALLS.items()]
    return Starlette(routes=[*constant, *live])


def _constant(answer: bytes) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(_request: Request) -> Response:
        return _response(answer)

    return endpoint


@dataclass(frozen=True, slots=True)
class _Answer:
    """How any call is answered: within the deadline, and an error in words."""

    driver: Driver
    ready: Ready
    explain: Callable[[], str]
    log: FilteringBoundLogger

    def to(self, name: str, call: Call) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            return await self._answer(name, call, await request.body())

        return endpoint

    async def _answer(self, name: str, call: Call, body: bytes) -> Response:
        try:
            async with asyncio.timeout(DEADLINE_S):
                request = call.parse(body)
                if call.needs_store:
                    await self.ready()
                answer = await call.answer(self.driver, request)
        except (IsthmusError, EdgeError) as error:
            self.log.warning("refused a call of the engine", call=name, reason=str(error))
            return _refusal(str(error))
        except TimeoutError:
            reason = self.explain()
            self.log.warning("a call of the engine ran into its deadline", call=name, reason=reason)
            return _refusal(f"{name} was not done within {DEADLINE_S:.0f} s: {reason}")
        except Exception:
            self.log.exception("a bug in a call of the engine", call=name)
            return _refusal(f"{name} failed by a bug of netplugin; its log has the trace")
        return _response(answer)


def _refusal(text: str) -> Response:
    return _response(docker.render_error(text), status_code=500)


def _response(answer: bytes, *, status_code: int = 200) -> Response:
    """An answer after which the connection ends.

    An engine that writes its next call while we close an idle connection repeats the call without its body.
    """
    return Response(answer, status_code, {"Connection": "close"}, docker.CONTENT_TYPE)
