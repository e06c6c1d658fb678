"""`netctl export`: what is there, as a file for `netctl apply`."""

from isthmus.netctl.client import Client
from isthmus.netctl.cluster import items
from isthmus.netctl.command import Call, FailedError, UsageError
from isthmus.netctl.documents import VERSION, render_json, render_yaml
from isthmus.netctl.kinds import KINDS, KINDS_BY_WORD, Item, Kind

_RENDER = {"yaml": render_yaml, "json": render_json}
_TRIES = 10


def export(call: Call) -> None:
    """Print the objects in the order in which they can be created, each kind by key; for a backup the records, too."""
    call.no_arguments()
    form = call.parsed.text("output")
    if form not in _RENDER:
        raise UsageError(f'output "{form}": it is yaml or json')
    content = _whole(call.client) if _is_whole(call) else {"objects": _entries(_chosen(call))}
    print(_RENDER[form]({"version": VERSION, **content}), end="")


def _is_whole(call: Call) -> bool:
    if not call.parsed.is_on("all"):
        return False
    if call.parsed.text("tenant") or call.parsed.texts("kind"):
        raise UsageError("--all goes with neither --tenant nor --kind: a backup is of the whole cluster")
    return True


def _whole(client: Client) -> dict[str, object]:
    """Objects and records of one moment: the objects are the same before and after the records are read."""
    before = list(items(client))
    for _ in range(_TRIES):
        records = client.backup()
        after = list(items(client))
        if before == after:
            return {"objects": _entries(before), "records": records}
        before = after
    raise FailedError(f"somebody changed objects {_TRIES} times in a row while they were read; try again")


def _chosen(call: Call) -> list[Item]:
    tenant = call.parsed.text("tenant")
    found = [each for each in items(call.client, _kinds(call)) if not tenant or each.tenant == tenant]
    if tenant and not any(each.kind.word == "tenant" for each in found):
        call.client.object("tenants", tenant)  # a tenant that is not there is an error
    return found


def _kinds(call: Call) -> tuple[Kind, ...]:
    words = call.parsed.texts("kind")
    unknown = [word for word in words if word not in KINDS_BY_WORD]
    if unknown:
        raise UsageError(f'unknown kind "{unknown[0]}": it is one of {", ".join(KINDS_BY_WORD)}')
    return tuple(kind for kind in KINDS if not words or kind.word in words)


def _entries(found: list[Item]) -> list[dict[str, object]]:
    return [_entry(each) for each in found]


def _entry(item: Item) -> dict[str, object]:
    names = {name.word: part for name, part in zip(item.kind.names, item.key, strict=True)}
    return {"kind": item.kind.word, **names, **item.fields}
