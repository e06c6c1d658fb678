"""The routes of endpoints and lost nodes: agents write them, but an operator may remove what an agent never will."""

from collections.abc import Callable

import structlog
from fastapi import Request, Response

from isthmus.core.admit.decision import counted, found
from isthmus.core.admit.leftovers import leftovers_of_node, lost_node
from isthmus.core.errors import ConflictError, InvalidError, NotFoundError
from isthmus.core.model import (
    Endpoint,
    EndpointGroup,
    GroupKey,
    GroupName,
    NetworkKey,
    NetworkName,
    NodeName,
    TenantName,
)
from isthmus.core.world import World
from isthmus.edge.store import Delete, Unchanged
from isthmus.netmaster import plans, wishes
from isthmus.netmaster.answers import answer
from isthmus.netmaster.reading import world_of
from isthmus.netmaster.routes import Here, Surroundings
from isthmus.wire import keys
from isthmus.wire.rest.opers import endpoint_body
from isthmus.wire.rest.states import EndpointInspection

log = structlog.get_logger()

_AT_ONCE = 100  # of one transaction: each is a guard and an operation, and etcd takes 128

Fits = Callable[[Endpoint], bool]


async def list_endpoints(here: Here) -> Response:
    """The endpoints of all tenants, by network and address."""
    world = await _world(here)
    return answer([endpoint_body(each, world) for each in _all(world)])


async def inspect_endpoint(here: Here, key: str) -> Response:
    """One endpoint, by any part of its id, or of its container's name or id."""
    world = await _world(here)
    return answer(EndpointInspection(Oper=endpoint_body(_the_one(world, key), world)))


async def delete_endpoint(here: Here, key: str, request: Request) -> Response:
    """Remove an endpoint and free its addresses: of a lost node, or of a living one with `force=true`."""
    endpoint = _the_one(await _world(here), key)
    is_forced = request.query_params.get("force", "") in ("1", "true")
    await plans.done(here.store, wishes.endpoint_removal(endpoint, is_forced=is_forced))
    log.warning("endpoint removed by hand", endpoint=endpoint.id, container=endpoint.container, node=endpoint.node)
    return answer(endpoint.id)


async def clean_up(here: Here, tenant: str, kind: str, key: str) -> Response:
    """Contiv's forced removal: of all endpoints of a network (`net`), of a group (`group`), or of one (`ep`)."""
    world = await _world(here)
    owner = TenantName(tenant)
    found(world.tenants.get(owner), f"tenant {tenant}")
    chosen = _chosen(world, owner, kind, key)
    for endpoint in chosen:
        await plans.done(here.store, wishes.endpoint_removal(endpoint, is_forced=True))
    log.warning("endpoints removed by hand", tenant=tenant, kind=kind, key=key, count=len(chosen))
    return answer([endpoint_body(each, world) for each in chosen])


async def delete_node(here: Here, key: str) -> Response:
    """Remove a lost node, and before it all that it holds."""
    name = NodeName(key)
    while await _clear(here, name):
        pass
    await plans.done(here.store, wishes.node_removal(name))
    log.warning("node removed by hand", node=key)
    return answer(key)


async def _clear(here: Surroundings, name: NodeName) -> bool:
    """Remove what a lost node holds, some at a time; whether there was any, or some of it was another's meanwhile."""
    places = (keys.node_key(name), keys.lease_key(name))
    snapshot = await here.store.read(keys=places, prefixes=(keys.ENDPOINTS, keys.ADDRESSES))
    world = world_of(snapshot)
    lost_node(name, world)
    left = [keys.key_of(record) for record in leftovers_of_node(name, world)]
    as_read = {key: Unchanged(key, item.mod_revision) for key, item in snapshot.by_key().items()}
    for start in range(0, len(left), _AT_ONCE):
        piece = left[start : start + _AT_ONCE]
        guards = [Unchanged(keys.lease_key(name), 0), *(as_read[key] for key in piece)]
        if await here.store.commit(guards, list(map(Delete, piece))) is None:
            break
    return bool(left)


async def _world(here: Surroundings) -> World:
    prefixes = (keys.TENANTS, keys.NETWORKS, keys.GROUPS, keys.ENDPOINTS, keys.ADDRESSES, keys.NODES)
    return world_of(await here.store.read(prefixes=prefixes))


def _all(world: World, fits: Fits = lambda _endpoint: True) -> list[Endpoint]:
    everyone = (each for population in world.populations.values() for each in population.endpoints.values())
    return sorted(filter(fits, everyone), key=lambda each: (each.network, each.address))


def _the_one(world: World, part: str, tenant: TenantName | None = None) -> Endpoint:
    """The endpoint whose id or container (by name or id) is `part`, or else the one in which it occurs."""
    own = _all(world, lambda each: tenant in (None, each.network.tenant))
    exact = [each for each in own if part in _names(each)]
    fitting = exact or [each for each in own if part and any(part in name for name in _names(each))]
    if not fitting:
        raise NotFoundError(f"endpoint {part} not found")
    if len(fitting) > 1:
        names = [f"{each.id[:12]} ({each.container} in {each.network} on {each.node})" for each in fitting]
        raise ConflictError(f"{part} may be any of {counted(names, 'endpoint')}; say more of its id")
    return fitting[0]


def _names(endpoint: Endpoint) -> tuple[str, ...]:
    """What it is called by; its container may not be known yet."""
    return tuple(filter(None, (endpoint.id, endpoint.container, endpoint.container_id)))


def _chosen(world: World, tenant: TenantName, kind: str, key: str) -> list[Endpoint]:
    match kind:
        case "net":
            found(world.networks.get(NetworkKey(tenant, NetworkName(key))), f"network {tenant}:{key}")
            return _all(world, lambda each: (each.network.tenant, each.network.name) == (tenant, key))
        case "group":
            group = found(world.groups.get(GroupKey(tenant, GroupName(key))), f"endpoint group {tenant}:{key}")
            return _all(world, lambda each: _is_member(each, group))
        case "ep":
            return [_the_one(world, key, tenant)]
        case _:
            raise InvalidError(f'clean-up of "{kind}": it is net, group or ep')


def _is_member(endpoint: Endpoint, group: EndpointGroup) -> bool:
    return endpoint.network == group.network_key and endpoint.group == group.key.name
