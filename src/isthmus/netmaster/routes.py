"""Each route's way: decode the request, carry the wish out, encode what came true."""

from dataclasses import dataclass
from typing import Annotated, TypeVar

import structlog
from fastapi import Depends, Request, Response

from isthmus import __version__
from isthmus.core.errors import ConflictError, NotFoundError
from isthmus.core.model import Encap, Network, NetworkKey, Settings, Tenant, TenantName
from isthmus.edge.store import Store
from isthmus.netmaster import plans
from isthmus.netmaster.answers import answer
from isthmus.netmaster.reading import one, only, revision_of, tag_owners, world_of
from isthmus.netmaster.rollout import Rollout, node_states, settled
from isthmus.wire import keys, rest
from isthmus.wire.rest_bodies import (
    GlobalInspection,
    NetworkInspection,
    TenantInspection,
    VersionBody,
)
from isthmus.wire.rest_oper import global_oper, network_oper, tenant_oper

log = structlog.get_logger()

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the routes work with: the store, and how long a change may wait for the nodes."""

    store: Store
    rollout_s: float


def _surroundings(request: Request) -> Surroundings:
    found = request.app.state.surroundings
    assert isinstance(found, Surroundings)
    return found


Here = Annotated[Surroundings, Depends(_surroundings)]


async def version() -> Response:
    """What this netmaster was built from."""
    return answer(VersionBody(Version=__version__))


async def list_tenants(here: Here) -> Response:
    """All tenants, by name."""
    snapshot = await here.store.read(prefixes=(keys.TENANTS, keys.NETWORKS))
    networks = only(Network, snapshot)
    tenants = sorted(only(Tenant, snapshot), key=lambda each: each.name)
    return answer([rest.tenant_body(each, _of(each.name, networks)) for each in tenants])


async def read_tenant(here: Here, key: str) -> Response:
    """One tenant."""
    name = TenantName(key)
    snapshot = await here.store.read(keys=(keys.tenant_key(name),), prefixes=(keys.networks_of(name),))
    return answer(rest.tenant_body(_found(one(Tenant, snapshot), f"tenant {key}"), only(Network, snapshot)))


async def create_tenant(here: Here, key: str, request: Request) -> Response:
    """Create a tenant; one that exists and is the same is answered as if it were new."""
    wish = plans.tenant_creation(rest.parse_tenant(await request.body(), key))
    done = await plans.carry_out(here.store, wish)
    if done.is_new:
        log.info("tenant created", tenant=key)
    return answer(rest.tenant_body(done.outcome))


async def delete_tenant(here: Here, key: str) -> Response:
    """Delete a tenant without networks."""
    await plans.carry_out(here.store, plans.tenant_removal(TenantName(key)))
    log.info("tenant deleted", tenant=key)
    return answer(key)


async def inspect_tenant(here: Here, key: str) -> Response:
    """A tenant, and its state."""
    snapshot = await here.store.read(
        keys=(keys.tenant_key(TenantName(key)),),
        prefixes=(
            keys.networks_of(TenantName(key)),
            f"{keys.ENDPOINTS}{key}/",
            f"{keys.ADDRESSES}{key}/",
            keys.NODES,
        ),
    )
    tenant = _found(one(Tenant, snapshot), f"tenant {key}")
    body = rest.tenant_body(tenant, only(Network, snapshot))
    return answer(TenantInspection(Config=body, Oper=tenant_oper(world_of(snapshot), tenant.name)))


async def list_networks(here: Here) -> Response:
    """All networks of all tenants, by tenant and name."""
    networks = only(Network, await here.store.read(prefixes=(keys.NETWORKS,)))
    return answer([rest.network_body(each) for each in sorted(networks, key=lambda each: each.key)])


async def read_network(here: Here, key: str) -> Response:
    """One network."""
    snapshot = await here.store.read(keys=(keys.network_key(rest.parse_network_key(key)),))
    return answer(rest.network_body(_found(one(Network, snapshot), f"network {key}")))


async def create_network(here: Here, key: str, request: Request) -> Response:
    """Create a network on every node; one that exists and is the same is answered as if it were new."""
    wish = plans.network_creation(rest.parse_network(await request.body(), key))
    done = await plans.carry_out(here.store, wish)
    if not done.is_new:
        return answer(rest.network_body(done.outcome))
    log.info("network created", network=key, tag=done.outcome.tag)
    state = await settled(here.store, done.outcome.key, done.revision, here.rollout_s)
    if state.problems:
        state = await _roll_back(here, done.outcome.key, done.revision, state)
    return answer(rest.network_body(done.outcome), state.unready)


async def _roll_back(here: Surroundings, key: NetworkKey, revision: int, state: Rollout) -> Rollout:
    """Take a network back that some node refused; the state as it was where containers use it already."""
    reasons = "; ".join(f"node {name}: {reason}" for name, reason in sorted(state.problems.items()))
    try:
        done = await plans.carry_out(here.store, plans.network_removal(key, written_at=revision))
    except ConflictError:
        log.warning("network stays, since containers use it", network=str(key), refused=reasons)
        return state
    log.warning("network taken back", network=str(key), refused=reasons)
    await settled(here.store, key, done.revision, here.rollout_s)
    raise ConflictError(f"network {key}: {reasons}")


async def delete_network(here: Here, key: str) -> Response:
    """Delete a network without containers, on every node."""
    network = rest.parse_network_key(key)
    done = await plans.carry_out(here.store, plans.network_removal(network))
    log.info("network deleted", network=key)
    state = await settled(here.store, network, done.revision, here.rollout_s)
    return answer(key, state.unready)


async def inspect_network(here: Here, key: str) -> Response:
    """A network, and its state."""
    network_key = rest.parse_network_key(key)
    own = keys.network_key(network_key)
    population = (keys.endpoints_of(network_key), keys.addresses_of(network_key))
    snapshot = await here.store.read(keys=(own,), prefixes=(*population, keys.NODES))
    network = _found(one(Network, snapshot), f"network {key}")
    world = world_of(snapshot)
    nodes = node_states(world, network_key, revision_of(snapshot, own))
    return answer(NetworkInspection(Config=rest.network_body(network), Oper=network_oper(world, network, nodes)))


async def list_globals(here: Here) -> Response:
    """The cluster's settings, as an array of one."""
    return answer([rest.global_body(await _settings(here.store))])


async def read_global(here: Here, key: str) -> Response:
    """The cluster's settings."""
    _check_global(key)
    return answer(rest.global_body(await _settings(here.store)))


async def inspect_global(here: Here, key: str) -> Response:
    """The cluster's settings, and its state."""
    _check_global(key)
    snapshot = await here.store.read(keys=(keys.GLOBAL,), prefixes=(keys.NETWORKS, *map(keys.tags_of, Encap)))
    body = rest.global_body(one(Settings, snapshot) or Settings())
    owners = {encap: tag_owners(snapshot, encap) for encap in Encap}
    oper = global_oper(len(only(Network, snapshot)), owners)
    return answer(GlobalInspection(Config=body, Oper=oper))


async def _settings(store: Store) -> Settings:
    return one(Settings, await store.read(keys=(keys.GLOBAL,))) or Settings()


def _check_global(key: str) -> None:
    if key != rest.GLOBAL_KEY:
        raise NotFoundError(f"global {key} not found: the only one is named {rest.GLOBAL_KEY}")


def _of(tenant: TenantName, networks: list[Network]) -> list[Network]:
    return [network for network in networks if network.key.tenant == tenant]


def _found(value: _T | None, what: str) -> _T:
    if value is None:
        raise NotFoundError(f"{what} not found")
    return value
