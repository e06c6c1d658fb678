"""What a wish becomes: records to write, records to remove; and words that refusals share."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from isthmus.core.errors import NotFoundError
from isthmus.core.model import Endpoint, Record, Tenant, TenantName
from isthmus.core.world import World

_NAMED_AT_MOST = 10  # users of a thing that a refusal lists one by one

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Decision(Generic[_T]):
    """`outcome` comes true when `put` is written and `remove` is gone; without either it is true already."""

    outcome: _T
    put: tuple[Record, ...] = ()
    remove: tuple[Record, ...] = ()


def settled(wanted: _T, existing: _T | None, *records: Record) -> Decision[_T]:
    """Nothing to write where the wish is what exists already; else `records`."""
    return Decision(wanted) if wanted == existing else Decision(wanted, put=records)


def found(value: _T | None, what: str) -> _T:
    """The thing itself.

    Raises:
        NotFoundError: there is none.
    """
    if value is None:
        raise NotFoundError(f"{what} not found")
    return value


def tenant_of(world: World, name: TenantName) -> Tenant:
    """The tenant of that name.

    Raises:
        NotFoundError: there is none.
    """
    return found(world.tenants.get(name), f"tenant {name}")


def users_text(endpoints: Iterable[Endpoint]) -> str:
    """`2 containers: web (10.1.1.1 on node1), db (10.1.1.2 on node2)`; empty where there are none."""
    ordered = sorted(endpoints, key=lambda each: (each.node, each.address))
    users = [f"{each.container or each.id[:12]} ({each.address} on {each.node})" for each in ordered]
    return counted(users, "container") if users else ""


def counted(names: Sequence[str], noun: str) -> str:
    """`2 networks: a, b`; of many only the first are named."""
    more = len(names) - _NAMED_AT_MOST
    tail = f" and {more} more" if more > 0 else ""
    many = noun.removesuffix("y") + "ies" if noun.endswith("y") else noun + "s"
    return f"{len(names)} {many if len(names) > 1 else noun}: {', '.join(names[:_NAMED_AT_MOST])}{tail}"
