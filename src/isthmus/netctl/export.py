"""`netctl export`: what is there, as a file for `netctl apply`."""

from isthmus.netctl.cluster import items
from isthmus.netctl.command import Call, UsageError
from isthmus.netctl.documents import VERSION, render_json, render_yaml
from isthmus.netctl.kinds import KINDS, KINDS_BY_WORD, Item, Kind

_RENDER = {"yaml": render_yaml, "json": render_json}


def export(call: Call) -> None:
    """Print the objects in the order in which they can be created, each kind by key."""
    call.no_arguments()
    tenant, form = call.parsed.text("tenant"), call.parsed.text("output")
    if form not in _RENDER:
        raise UsageError(f'output "{form}": it is yaml or json')
    found = [each for each in items(call.client, _kinds(call)) if not tenant or each.tenant == tenant]
    if tenant and not any(each.kind.word == "tenant" for each in found):
        call.client.object("tenants", tenant)  # a tenant that is not there is an error
    print(_RENDER[form]({"version": VERSION, "objects": [_entry(each) for each in found]}), end="")


def _kinds(call: Call) -> tuple[Kind, ...]:
    words = call.parsed.texts("kind")
    unknown = [word for word in words if word not in KINDS_BY_WORD]
    if unknown:
        raise UsageError(f'unknown kind "{unknown[0]}": it is one of {", ".join(KINDS_BY_WORD)}')
    return tuple(kind for kind in KINDS if not words or kind.word in words)


def _entry(item: Item) -> dict[str, object]:
    names = {name.word: part for name, part in zip(item.kind.names, item.key, strict=True)}
    return {"kind": item.kind.word, **names, **item.fields}
