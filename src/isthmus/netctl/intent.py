"""Documents to the objects that they want, each checked by itself and against the others."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from isthmus.netctl.documents import Document, Entry
from isthmus.netctl.kinds import KINDS_BY_WORD, Field, Form, Item, Kind, Value, normalized

_RANKS = {word: number for number, word in enumerate(KINDS_BY_WORD)}


class Fault(NamedTuple):
    """What is wrong with an object, and where it stands."""

    place: str
    text: str

    def __str__(self) -> str:
        return f"{self.place}: {self.text}" if self.place else self.text

    @property
    def position(self) -> tuple[str, int]:
        """The file, and the line or the object's number."""
        digits = "".join(each if each.isdigit() else " " for each in self.place).split()
        return self.place.rstrip("0123456789]"), int(digits[-1]) if digits else 0


class Intent(NamedTuple):
    """All that the files want, in the order in which it can be made so; records; and what is wrong with the files."""

    items: tuple[Item, ...]
    records: Mapping[str, str]
    faults: tuple[Fault, ...]


class _WrongError(Exception):
    """What is wrong with one object."""


def intent_of(documents: Iterable[Document]) -> Intent:
    """What the documents want, all together."""
    parts = list(documents)
    items: list[Item] = []
    faults: list[Fault] = []
    seen: dict[tuple[str, str], str] = {}
    for entry in (each for document in parts for each in document.objects):
        try:
            item = _item(entry)
        except _WrongError as error:
            faults.append(Fault(entry.place, str(error)))
            continue
        if item.identity in seen:
            faults.append(Fault(item.place, f"{item.title} stands twice: first at {seen[item.identity]}"))
            continue
        seen[item.identity] = item.place
        items.append(item)
    records, twins = _together(parts)
    return Intent(tuple(sorted(items, key=rank)), records, (*faults, *twins))


def _together(documents: list[Document]) -> tuple[Mapping[str, str], list[Fault]]:
    records: dict[str, str] = {}
    twins: list[Fault] = []
    for key, text in (pair for document in documents for pair in document.records.items()):
        if records.setdefault(key, text) != text:
            twins.append(Fault("", f"record {key} stands in the files with two values"))
    return records, twins


def rank(item: Item) -> tuple[int, tuple[str, ...]]:
    """The order in which objects can be created: by kind, then by key."""
    return _RANKS[item.kind.word], item.key


def dangling(items: Iterable[Item], known: set[tuple[str, str]]) -> Iterator[Fault]:
    """The items that name what will not be there: it is neither in `known` nor among them."""
    wanted = list(items)
    there = known | {item.identity for item in wanted}
    for item in wanted:
        for word, key in item.targets:
            if (word, key) not in there:
                yield Fault(item.place, f"{item.title} names {word} {key}, which is neither in the file nor there")


def _item(entry: Entry) -> Item:
    value = entry.value
    if not isinstance(value, dict):
        raise _WrongError("an object is a mapping that begins with kind")
    word = value.get("kind")
    kind = KINDS_BY_WORD.get(word) if isinstance(word, str) else None
    if kind is None:
        raise _WrongError(f"unknown kind {_shown(word)}: it is one of {', '.join(KINDS_BY_WORD)}")
    words = ("kind", *(name.word for name in kind.names), *(field.name for field in kind.fields))
    unknown = [str(each) for each in value if each not in words]
    if unknown:
        raise _WrongError(f"a {word} has no {' and no '.join(unknown)}: it has {', '.join(words[1:])}")
    key = tuple(_name(kind, name.word, value.get(name.word)) for name in kind.names)
    fields = {each.name: _value(each, value[each.name]) for each in kind.fields if value.get(each.name) is not None}
    return Item(kind, key, normalized(kind, fields), entry.place)


def _name(kind: Kind, word: str, value: Any) -> str:
    found = _text(value)
    if not found:
        raise _WrongError(f"a {kind.word} needs {word}, a text")
    if ":" in found or "/" in found:
        raise _WrongError(f"{word} {_shown(value)} has a colon or a slash, which no name has")
    return found


def _value(field: Field, value: Any) -> Value:
    found: Value | None
    match field.form:
        case Form.TEXT:
            found = _text(value)
        case Form.NUMBER:
            found = value if isinstance(value, int) and not isinstance(value, bool) else None
        case Form.TEXTS:
            found = _texts(value)
    if found is None:
        raise _WrongError(f"{field.name} {_shown(value)} is not {field.form.value}")
    return found


def _text(value: Any) -> str | None:
    """A text, or a number as somebody types it who means a text."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if is_number or isinstance(value, str) else None


def _texts(value: Any) -> list[str] | None:
    found = [_text(each) for each in value] if isinstance(value, list) else [None]
    return [each for each in found if each is not None] if None not in found else None


def _shown(value: Any) -> str:
    text = "nothing" if value is None else f'"{value}"' if isinstance(value, str) else repr(value)
    return text if len(text) <= 80 else text[:80] + "..."
