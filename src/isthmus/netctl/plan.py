"""What is there and what is wanted to the changes between them. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from typing import NamedTuple

from isthmus.netctl.intent import Fault, dangling, rank
from isthmus.netctl.kinds import Item, Value

Items = Mapping[tuple[str, str], Item]  # by identity
_UNTOUCHABLE = ("global", "tenant")  # kinds of which nothing is ever removed


class Verb(Enum):
    """What is done with an object."""

    CREATE = "created"
    CHANGE = "changed"
    REMOVE = "removed"


class Change(NamedTuple):
    """One object to create, change or remove: as it will be, and as it is; a removed one is what it is."""

    verb: Verb
    item: Item
    before: Item | None = None

    @property
    def differing(self) -> list[tuple[str, Value | None, Value | None]]:
        """The fields that change: name, value before, value after; None is absent."""
        before = self.before.fields if self.before else {}
        names = [field.name for field in self.item.kind.fields]
        return [
            (name, before.get(name), self.item.fields.get(name))
            for name in names
            if before.get(name) != self.item.fields.get(name)
        ]


class Plan(NamedTuple):
    """The changes in the order in which they are to be made, how many objects need none, and what is wrong."""

    changes: tuple[Change, ...]
    unchanged: int
    faults: tuple[Fault, ...]


def plan(wanted: Iterable[Item], there: Iterable[Item], *, is_pruning: bool) -> Plan:
    """How what is `there` becomes what is `wanted`.

    What is removed and nobody who stays names goes first, so that what comes may have its name and its addresses; the
    rest goes last, when nobody names it any more.
    """
    items, actual = list(wanted), {item.identity: item for item in there}
    surplus = _surplus(items, actual) if is_pruning else {}
    made = [
        each for each in (_made(item, actual.get(item.identity)) for item in items) if each.differing or not each.before
    ]
    late = _named_by_others(surplus, actual)
    removals = [Change(Verb.REMOVE, item, item) for item in sorted(surplus.values(), key=rank, reverse=True)]
    early = [each for each in removals if each.item.identity not in late]
    changes = (*early, *made, *(each for each in removals if each.item.identity in late))
    faults = (*_impossible(made), *dangling(items, set(actual) - set(surplus)))
    return Plan(changes, len(items) - len(made), faults)


def _made(item: Item, before: Item | None) -> Change:
    if before is None:
        return Change(Verb.CREATE, item)
    if item.kind.names:
        return Change(Verb.CHANGE, item, before)
    return Change(
        Verb.CHANGE, item._replace(fields={**before.fields, **item.fields}), before
    )  # the settings' rest stays


def _impossible(made: Iterable[Change]) -> Iterator[Fault]:
    for change in made:
        fields = [each for each in change.differing if change.before and _is_fixed(change.item, each[0])]
        if fields:
            said = ", ".join(f"{name} {_shown(before)} to {_shown(after)}" for name, before, after in fields)
            yield Fault(change.item.place, f"{change.item.title} is there and cannot change {said}; remove it first")


def _is_fixed(item: Item, name: str) -> bool:
    field = item.kind.field(name)
    return field is not None and field.is_fixed


def _surplus(wanted: list[Item], there: Items) -> dict[tuple[str, str], Item]:
    """What may be removed: the unwanted of those tenants that are wanted themselves, and of the cluster likewise."""
    identities = {item.identity for item in wanted}
    tenants = {item.tenant for item in wanted if item.kind.word == "tenant"}
    is_cluster_covered = any(item.kind.word == "global" for item in wanted)

    def is_covered(item: Item) -> bool:
        return item.tenant in tenants if item.kind.has_tenant else is_cluster_covered

    return {
        identity: item
        for identity, item in there.items()
        if identity not in identities and item.kind.word not in _UNTOUCHABLE and is_covered(item)
    }


def _named_by_others(surplus: Items, there: Items) -> set[tuple[str, str]]:
    """Of the surplus what is named by something that stays, or by what has to wait for that."""
    late: set[tuple[str, str]] = set()
    for item in sorted(there.values(), key=rank, reverse=True):  # who names before who is named
        if item.identity not in surplus or item.identity in late:
            late |= {target for target in item.targets if target in surplus}
    return late


def difference(changes: Iterable[Change]) -> str:
    """The changes for people: + and all fields, ~ and what changes, -."""
    return "".join(line for change in changes for line in _lines(change))


_SIGN = {Verb.CREATE: "+", Verb.CHANGE: "~", Verb.REMOVE: "-"}


def _lines(change: Change) -> Iterator[str]:
    yield f"{_SIGN[change.verb]} {change.item.title}\n"
    if change.verb is not Verb.REMOVE:
        for name, before, after in change.differing:
            arrow = f"{_shown(before)} -> " if change.verb is Verb.CHANGE else ""
            yield f"    {name}: {arrow}{_shown(after)}\n"


def _shown(value: Value | None) -> str:
    if value is None:
        return "(none)"
    return f"[{', '.join(value)}]" if isinstance(value, list) else str(value)
