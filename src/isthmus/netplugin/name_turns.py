"""Keeps a name service in every sandbox of this node: it answers what its tenants' containers are called."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from structlog.typing import FilteringBoundLogger

from isthmus.core.desired import desired_sandboxes
from isthmus.core.errors import EdgeError
from isthmus.core.model import Address, NetworkKey, NodeName, TenantName
from isthmus.core.names import (
    NetworkNames,
    Scope,
    TenantNames,
    addresses_of_name,
    index_network,
    index_tenants,
    name_of_address,
)
from isthmus.core.world import Evolution, World
from isthmus.edge.sandbox import NameService

_T = TypeVar("_T")
_RETRY_S = 1.0


class NameBook:
    """The names of every network and tenant, and which networks each sandbox of this node is in."""

    def __init__(self, node: NodeName) -> None:
        self._node = node
        self._world = World()
        self._networks: dict[NetworkKey, NetworkNames] = {}
        self._tenants: dict[TenantName, TenantNames] = {}
        self._sandboxes: dict[NetworkKey, frozenset[str]] = {}

    def learn(self, evolution: Evolution) -> None:
        """Take over a later world; only what it touched is read again."""
        before, self._world = self._world, evolution.world
        if before.groups is not self._world.groups or before.services is not self._world.services:
            self._tenants = index_tenants(self._world)
        for key in evolution.networks:
            population = self._world.population(key)
            _keep(self._networks, key, index_network(population), is_kept=bool(population.endpoints))
            sandboxes = desired_sandboxes(population, self._node)
            _keep(self._sandboxes, key, sandboxes, is_kept=bool(sandboxes))

    @property
    def sandboxes(self) -> frozenset[str]:
        """The sandboxes of this node."""
        return frozenset().union(*self._sandboxes.values())

    def addresses(self, sandbox: str, name: str) -> tuple[Address, ...] | None:
        """What `name` means in a sandbox; None: it is no name of its tenants."""
        attached = self._attached(sandbox)
        tenants = {key.tenant for key in attached} & self._tenants.keys()
        own = tuple(self._tenants[tenant] for tenant in sorted(tenants))
        return addresses_of_name(name, Scope(own, self._visible(self._networks, attached), attached))

    def name(self, sandbox: str, address: Address) -> str | None:
        """The container or service that holds `address`, as a sandbox sees it: its own networks first."""
        attached = self._attached(sandbox)
        visible = self._visible(self._world.populations, attached)
        nearest_first = sorted(visible, key=lambda key: (key not in attached, key))
        return name_of_address(address, (visible[key] for key in nearest_first))

    def _attached(self, sandbox: str) -> frozenset[NetworkKey]:
        return frozenset(key for key, sandboxes in self._sandboxes.items() if sandbox in sandboxes)

    @staticmethod
    def _visible(by_key: Mapping[NetworkKey, _T], attached: frozenset[NetworkKey]) -> dict[NetworkKey, _T]:
        tenants = {key.tenant for key in attached}
        return {key: value for key, value in by_key.items() if key.tenant in tenants}


def _keep(index: dict[NetworkKey, _T], key: NetworkKey, value: _T, *, is_kept: bool) -> None:
    if is_kept:
        index[key] = value
    else:
        index.pop(key, None)


class SandboxNames:
    """The name book as one sandbox may read it."""

    def __init__(self, book: NameBook, sandbox: str) -> None:
        self._book = book
        self._sandbox = sandbox

    def addresses(self, name: str) -> tuple[Address, ...] | None:
        """The addresses of a service, a group or a container."""
        return self._book.addresses(self._sandbox, name)

    def name(self, address: Address) -> str | None:
        """The container or the service that holds an address."""
        return self._book.name(self._sandbox, address)


class NameTurns:
    """Attaches the name service to sandboxes that came, and detaches it from those that went."""

    def __init__(self, service: NameService, book: NameBook, log: FilteringBoundLogger) -> None:
        self._service = service
        self._book = book
        self._log = log
        self._served: dict[str, asyncio.Task[None]] = {}
        self.problems: dict[str, str] = {}  # by sandbox, why it has Docker's own names only
        self._leaving: set[asyncio.Task[None]] = set()

    def notice(self, evolution: Evolution) -> None:
        """A later world: bring this node's sandboxes in line, each in a task of its own."""
        self._book.learn(evolution)
        wanted = self._book.sandboxes
        for sandbox in self._served.keys() - wanted:
            self._served.pop(sandbox).cancel()
            self.problems.pop(sandbox, None)
            self._spawn_detach(sandbox)
        for sandbox in wanted - self._served.keys():
            self._served[sandbox] = asyncio.create_task(self._attach(sandbox))

    async def _attach(self, sandbox: str) -> None:
        """Keep the service in a sandbox that may appear late, for as long as an endpoint is joined to it."""
        path, names = Path(sandbox), SandboxNames(self._book, sandbox)
        was_attached = False
        while True:
            try:
                is_new = path not in self._service.attached
                await self._service.attach(path, names)
                if was_attached and is_new and path in self._service.attached:
                    self._log.warning("names in a sandbox were interrupted, and are answered again", sandbox=sandbox)
                was_attached = was_attached or path in self._service.attached
                self.problems.pop(sandbox, None)
            except (EdgeError, OSError) as error:
                if sandbox not in self.problems:
                    self._log.warning("no names in a sandbox; Docker's own remain", sandbox=sandbox, reason=str(error))
                self.problems[sandbox] = f"no names: {error}"
            await asyncio.sleep(_RETRY_S)

    def _spawn_detach(self, sandbox: str) -> None:
        task = asyncio.create_task(self._service.detach(Path(sandbox)))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)
