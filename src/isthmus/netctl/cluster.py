"""What netmaster has, as items: the same values that files hold."""

from collections.abc import Iterator

from isthmus.netctl.client import Client, Object
from isthmus.netctl.kinds import KINDS, Item, Kind, normalized


def items(client: Client, kinds: tuple[Kind, ...] = KINDS) -> Iterator[Item]:
    """All objects of these kinds, kind by kind, each by key."""
    for kind in kinds:
        yield from (_item(kind, each) for each in client.objects(kind.collection))


def _item(kind: Kind, found: Object) -> Item:
    key = tuple(str(found[name.field]) for name in kind.names)
    return Item(
        kind, key, normalized(kind, {each.name: found[each.name] for each in kind.fields if each.name in found})
    )
