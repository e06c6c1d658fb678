"""`netctl apply`: makes it so as files say, after all of them were checked."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from isthmus.netctl.client import Client, Object, RefusedError, UnreachableError
from isthmus.netctl.cluster import items
from isthmus.netctl.command import Call, FailedError, UsageError
from isthmus.netctl.documents import BadFileError, Document, parse
from isthmus.netctl.intent import Fault, Intent, intent_of
from isthmus.netctl.kinds import Item
from isthmus.netctl.output import complain
from isthmus.netctl.plan import Change, Plan, Verb, difference, plan

STDIN = "-"
_NOT_FOUND = 404
_CHECKED_AT_ONCE = 500  # far below what netmaster takes in one request
_NAMED_AT_MOST = 10
_POPULATED = ("network", "group")


def apply(call: Call) -> None:
    """Change what differs from the files.

    Raises:
        FailedError: a file is wrong, and nothing was done; or the master refused a change, and the text says which.
    """
    call.no_arguments()
    names = call.parsed.texts("file")
    if not names:
        raise UsageError("File required: -f FILE, or -f - for standard input")
    intent = intent_of(_documents(names))
    _refuse(intent.faults)
    found = _checked(call, intent)
    if call.parsed.is_on("dry-run"):
        print(difference(found.changes) + _summary(found, "to be "), end="")
        return
    if intent.records:
        _restore(call.client, intent.records)
        found = _plan(call, intent, ())
    _carry_out(call.client, found)
    print(_summary(found), end="")


def _checked(call: Call, intent: Intent) -> Plan:
    """What is to be done to the objects, once the records are there.

    Raises:
        FailedError: it cannot be done.
    """
    restored: list[Item] = []
    if intent.records:
        counts = call.client.restore(intent.records, is_dry_run=True)
        restored = [item for item in intent.items if item.record_key in intent.records]
        if call.parsed.is_on("dry-run"):
            print(f"{_records(counts)} to be restored, {counts.get('unchanged', 0)} unchanged")
    found = _plan(call, intent, restored)
    _refuse((*found.faults, *_faults(call.client, intent, found)))
    return found


def _plan(call: Call, intent: Intent, restored: Iterable[Item]) -> Plan:
    there = {item.identity: item for item in (*restored, *items(call.client))}
    return plan(intent.items, there.values(), is_pruning=call.parsed.is_on("prune"))


def _restore(client: Client, records: Mapping[str, str]) -> None:
    try:
        counts = client.restore(records, is_dry_run=False)
    except (RefusedError, UnreachableError) as error:
        raise FailedError(f"not all records are restored: {error} (run it again to complete it)") from error
    if counts.get("written"):
        print(f"restored {_records(counts)}, {counts.get('unchanged', 0)} unchanged", flush=True)


def _records(counts: Object) -> str:
    return _counted(counts.get("written", 0), "record")


def _documents(names: tuple[str, ...]) -> list[Document]:
    if names.count(STDIN) > 1:
        raise UsageError("Standard input can be read once only")
    found: list[Document] = []
    wrong: list[Fault] = []
    for name in names:
        try:
            found += parse(name, _text(name))
        except BadFileError as error:
            wrong.append(Fault("", str(error)))
    _refuse(wrong)
    return found


def _text(name: str) -> str:
    try:
        raw = sys.stdin.buffer.read() if name == STDIN else Path(name).read_bytes()
        return raw.decode("utf-8-sig")
    except OSError as error:
        raise BadFileError(f"{name}: it cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadFileError(f"{name}: it is no UTF-8 text") from error


def _refuse(faults: Iterable[Fault]) -> None:
    """Say all that is wrong, a line each, in the order of the files.

    Raises:
        FailedError: there is something.
    """
    texts = [str(each) for each in sorted(faults, key=lambda each: each.position)]
    for text in texts:
        complain(text)
    if texts:
        raise FailedError(f"nothing was changed: {_counted(len(texts), 'error')}")


def _faults(client: Client, intent: Intent, found: Plan) -> Iterator[Fault]:
    """What only the master can tell: wrong forms, addresses of services that would change, containers in the way."""
    written = [change.item for change in found.changes if change.verb is not Verb.REMOVE]
    places = {item.identity: item.place for item in intent.items}
    for start in range(0, len(written), _CHECKED_AT_ONCE):
        part = written[start : start + _CHECKED_AT_ONCE]
        for fault in client.check([_candidate(item) for item in part]):
            item = part[fault.get("index", 0)]
            yield Fault(places[item.identity], f"{item.title}: {fault['text']}")
    for change in found.changes:
        if change.verb is Verb.CHANGE and change.item.kind.word == "service":
            yield from _moved_service(client, change)
        if change.verb is Verb.REMOVE and change.item.kind.word in _POPULATED:
            yield from _populated(client, change.item)


def _candidate(item: Item) -> dict[str, object]:
    return {"collection": item.kind.collection, "key": item.url_key, "fields": item.body}


def _moved_service(client: Client, change: Change) -> Iterator[Fault]:
    """A service keeps its address, and its network; what it has may be asked for afterwards."""
    wish = change.item.fields.get("ipAddress")
    if wish and any(name == "ipAddress" for name, _, _ in change.differing):
        address = client.inspect(change.item.kind.collection, change.item.url_key)["Oper"].get("serviceVip")
        if address != wish:
            text = f"{change.item.title} is there and cannot change ipAddress {address} to {wish}; remove it first"
            yield Fault(change.item.place, text)


def _populated(client: Client, item: Item) -> Iterator[Fault]:
    try:
        endpoints = client.inspect(item.kind.collection, item.url_key)["Oper"].get("endpoints", [])
    except RefusedError as error:
        if error.status == _NOT_FOUND:  # it has gone meanwhile, as was wanted
            return
        raise
    if endpoints:
        users = [
            f"{each.get('containerName') or each['endpointID'][:12]} on {each['homingHost']}" for each in endpoints
        ]
        more = f" and {len(users) - 10} more" if len(users) > 10 else ""
        said = f"{_counted(len(users), 'container')}: {', '.join(users[:10])}{more}"
        yield Fault("--prune", f"{item.title} cannot be removed, it is in use by {said}")


def _carry_out(client: Client, found: Plan) -> None:
    owed: dict[str, list[str]] = {}  # what is not yet so, by the nodes on which it is not
    try:
        for number, change in enumerate(found.changes):
            pending = _made(client, found, number)
            print(f"{change.verb.value} {change.item.title}", flush=True)
            if pending:
                owed.setdefault(pending, []).append(change.item.title)
    finally:
        for nodes, titles in owed.items():
            complain(f"{_listed(titles)}: not yet so on {nodes}", "warning")


def _made(client: Client, found: Plan, number: int) -> str:
    try:
        return _make(client, found.changes[number])
    except (RefusedError, UnreachableError) as error:
        raise FailedError(_half_done(found, number, error)) from error


def _make(client: Client, change: Change) -> str:
    """Make one change; the nodes that have not followed."""
    item = change.item
    if change.verb is not Verb.REMOVE:
        return client.create(item.kind.collection, item.url_key, item.body).pending
    try:
        return client.delete(item.kind.collection, item.url_key).pending
    except RefusedError as error:
        if error.status == _NOT_FOUND:  # another was faster
            return ""
        raise


def _half_done(found: Plan, number: int, error: Exception) -> str:
    change = found.changes[number]
    done = f"{number} of {_counted(len(found.changes), 'change')} made"
    return f"{change.item.title} cannot be {change.verb.value}: {error} ({done}; run it again to complete it)"


def _summary(found: Plan, tense: str = "") -> str:
    counts = {verb: sum(change.verb is verb for change in found.changes) for verb in Verb}
    parts = [f"{count} {tense}{verb.value}" for verb, count in counts.items() if count]
    return ", ".join([*parts, f"{found.unchanged} unchanged"]) + "\n"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED_AT_MOST} more" if len(names) > _NAMED_AT_MOST else ""
    return ", ".join(names[:_NAMED_AT_MOST]) + more
