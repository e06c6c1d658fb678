"""Docker's network and IPAM driver: each call decoded, one stage, encoded.

Sources: libnetwork docs/remote.md and docs/ipam.md; the order and quirks of calls: docs/design/docker.md.
"""

from dataclasses import dataclass, field

from isthmus.core.datapath import Owner, container_link_name
from isthmus.core.errors import ConflictError, EdgeError, InvalidError, NotFoundError
from isthmus.core.model import Encap, Endpoint, EndpointId, Network, NodeName, is_unicast, mac_of
from isthmus.edge.engine import Engine
from isthmus.netplugin.kernel_turns import KernelTurns
from isthmus.netplugin.ledger import Ledger, network_of, owned
from isthmus.netplugin.mirror import Mirror
from isthmus.netplugin.network_ids import NetworkIds
from isthmus.netplugin.pace import Pace
from isthmus.wire import docker

MADE_BY_NETCTL = "netplugin's networks are made by 'netctl net create', on every engine; not by 'docker network create'"

_NAME_DEADLINE_S = 2.0  # an engine that is starting restarts its containers first, and answers nobody until then


@dataclass(frozen=True, slots=True)
class Driver:
    """Answers the engine's calls. Every answer may be given twice; no call waits for a container's details."""

    node: NodeName
    mirror: Mirror
    ledger: Ledger
    kernel: KernelTurns
    engine: Engine
    network_ids: NetworkIds
    has_uplinks: bool = False
    pace: Pace = field(default_factory=Pace)

    async def request_pool(self, request: docker.RequestPool) -> bytes:
        """Tell an engine which addresses a network of ours has."""
        if not request.name:
            raise InvalidError(MADE_BY_NETCTL)
        owner = request.owner
        network = owned(await self.mirror.reached(), owner).network
        prefix = _prefix(network, is_v6=request.is_v6)
        if request.pool not in {None, prefix}:
            raise ConflictError(f"network {network.key} has subnet {prefix}, not {request.pool}")
        return docker.render_pool(docker.pool_id(owner, prefix), prefix)

    async def release_pool(self, _request: docker.ReleasePool) -> bytes:
        """Nothing to give back: pools are networks, and networks are the operator's."""
        return docker.OK

    async def request_address(self, request: docker.RequestAddress) -> bytes:
        """Claim an address for an endpoint to come; a gateway is only confirmed, for it is claimed already."""
        prefix, owner = request.pool.prefix, request.pool.owner
        if request.is_gateway:
            return docker.render_address(request.address or prefix.network_address, prefix)
        if request.address is not None:
            await self.ledger.claim_wish(owner, request.address)
            return docker.render_address(request.address, prefix)
        address = await self.ledger.claim_next(owner, is_v6=prefix.version == 6)
        return docker.render_address(address, prefix)

    async def release_address(self, request: docker.ReleaseAddress) -> bytes:
        """Give an address up."""
        await self.ledger.release(request.pool.owner.network, request.address)
        await self.pace.wait()
        return docker.OK

    async def create_network(self, request: docker.CreateNetwork) -> bytes:
        """Confirm a network whose pool was ours to give."""
        if request.has_foreign_ipam:
            raise InvalidError(
                "a netplugin network needs --ipam-driver netplugin: Docker's own IPAM would give one address twice"
            )
        if not {"tenant", "encap", "pkt-tag"} <= request.options.keys():
            raise InvalidError(MADE_BY_NETCTL)
        return docker.OK

    async def delete_network(self, request: docker.DeleteNetwork) -> bytes:
        """Forget what the id stood for."""
        self.network_ids.forget(request.network_id)
        return docker.OK

    async def create_endpoint(self, request: docker.CreateEndpoint) -> bytes:
        """Commit the endpoint; the MAC follows from the address unless the operator chose one."""
        owner = await self._owner(request.network_id)
        if request.mac is not None and not is_unicast(request.mac):
            raise InvalidError(f"MAC address {request.mac} is a group's or nobody's; a container needs one of its own")
        if request.address is None:
            raise InvalidError(f"endpoint {request.endpoint_id[:12]} has no IPv4 address")
        network = owned(await self.mirror.reached(), owner).network
        if network.encap is Encap.VLAN and not self.has_uplinks:
            raise ConflictError(
                f"network {network.key} is a VLAN network, and node {self.node} has no uplink: see netplugin -vlan-if"
            )
        endpoint = Endpoint(
            id=request.endpoint_id,
            network=network.key,
            node=self.node,
            mac=request.mac or mac_of(request.address),
            address=request.address,
            address_v6=request.address_v6,
            group=owner.group,
        )
        await self.ledger.create(endpoint)
        return docker.render_endpoint(None if request.mac else endpoint.mac)

    async def endpoint_info(self, request: docker.EndpointInfo) -> bytes:
        """What there is to know of an endpoint beyond Docker's own knowledge."""
        endpoint = await self._endpoint(request.network_id, request.endpoint_id)
        key = endpoint.network
        value = {"tenant": str(key.tenant), "network": str(key.name), "node": str(endpoint.node)}
        return docker.render_endpoint_info(value | ({"group": str(endpoint.group)} if endpoint.group else {}))

    async def join(self, request: docker.Join) -> bytes:
        """Name the sandbox, wait until the kernel has the leg, and hand its inner end to the engine."""
        endpoint = await self._endpoint(request.network_id, request.endpoint_id)
        container = await self._container(request.network_id, endpoint.id)
        revision = await self.ledger.join(endpoint, container, request.sandbox)
        await self.kernel.applied(revision)
        self.kernel.check_leg(endpoint)
        network = network_of(self.mirror.world.networks.get(endpoint.network), endpoint.network)
        return docker.render_join(container_link_name(endpoint.id), network.gateway, network.gateway_v6)

    async def leave(self, request: docker.Leave) -> bytes:
        """Take the leg away."""
        endpoint = await self._endpoint(request.network_id, request.endpoint_id)
        revision = await self.ledger.leave(endpoint)
        await self.kernel.applied(revision)
        return docker.OK

    async def delete_endpoint(self, request: docker.DeleteEndpoint) -> bytes:
        """Remove the endpoint; its address stays claimed until ReleaseAddress."""
        owner = await self._owner(request.network_id)
        endpoint = await self.ledger.find(owner.network, request.endpoint_id)
        if endpoint is not None:
            revision = await self.ledger.delete(endpoint)
            await self.kernel.applied(revision)
        return docker.OK

    async def allocate_network(self, request: docker.AllocateNetwork) -> bytes:
        """Confirm a swarm manager's options."""
        return docker.render_allocated(request.options)

    async def free_network(self, _request: docker.FreeNetwork) -> bytes:
        """Nothing was allocated."""
        return docker.OK

    async def program_external_connectivity(self, request: docker.ProgramExternalConnectivity) -> bytes:
        """Called where the endpoint is its sandbox's way out, which it is only in a network with a gateway."""
        if request.ports:
            ports = ", ".join(str(each.host_port) for each in request.ports)
            raise ConflictError(f"cannot publish port {ports}: the network has a gateway, and so no NAT by the host")
        return docker.OK

    async def revoke_external_connectivity(self, _request: docker.RevokeExternalConnectivity) -> bytes:
        """Nothing was programmed."""
        return docker.OK

    async def _endpoint(self, network_id: docker.DockerNetworkId, endpoint_id: EndpointId) -> Endpoint:
        owner = await self._owner(network_id)
        endpoint = await self.ledger.find(owner.network, endpoint_id)
        if endpoint is None:
            raise NotFoundError(f"endpoint {endpoint_id[:12]} of {owner.title} does not exist")
        return endpoint

    async def _owner(self, network_id: docker.DockerNetworkId) -> Owner:
        known = self.network_ids.get(network_id)
        if known is not None:
            return known
        found = await self.engine.network_by_id(network_id)
        if found is None:
            raise NotFoundError(f"Docker network {network_id[:12]} is not one of ours")
        self.network_ids.learn(network_id, found.owner)
        return found.owner

    async def _container(self, network_id: docker.DockerNetworkId, endpoint_id: EndpointId) -> str:
        """Whose the endpoint is; empty where the engine does not say: the census asks again."""
        try:
            found = await self.engine.containers_of(network_id, deadline_s=_NAME_DEADLINE_S)
        except EdgeError:
            return ""
        return found[endpoint_id].name if endpoint_id in found else ""


def _prefix(network: Network, *, is_v6: bool) -> docker.Prefix:
    if not is_v6:
        return network.subnet.prefix
    if network.subnet_v6 is None:
        raise NotFoundError(f"network {network.key} has no IPv6 subnet")
    return network.subnet_v6.prefix
