"""Files of objects, YAML or JSON, to values that know their place in the file; and values to such files.

YAML is read as in YAML 1.2: of bare words only true, false, null and decimal numbers are no texts, so that no name is
taken for a number, a date or a yes.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import yaml
from yaml.events import CollectionEndEvent, CollectionStartEvent
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

VERSION = 1
HEAD = "# Written by netctl export; netctl apply -f FILE makes it so again.\n"
_DEEPEST = 20  # twice what a file of ours can need; libyaml overruns its stack at some thousands
_SECTIONS = ("version", "objects", "records")

Raw = Mapping[str, Any]  # a YAML or JSON mapping, unchecked


class BadFileError(Exception):
    """A file that cannot be read as what it should be; the text names the place."""


class Entry(NamedTuple):
    """One value and where it stands."""

    value: Any
    place: str


class Document(NamedTuple):
    """What one document holds: its objects, and raw records of etcd by their keys."""

    objects: tuple[Entry, ...]
    records: Mapping[str, str]


def parse(name: str, text: str) -> list[Document]:
    """The documents in a file's text; what begins with a brace is JSON.

    Raises:
        BadFileError: it is neither, or a document is not made of our sections.
    """
    if not text.lstrip().startswith("{"):
        return _parse_yaml(name, text)
    try:
        value = json.loads(text, object_pairs_hook=_without_twins)
    except (ValueError, RecursionError) as error:
        raise BadFileError(f"{name}: it is no JSON: {error}") from error
    return [_document(name, value, lambda number: f"{name}: objects[{number}]")]


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f'"{next(name for name in names if names.count(name) > 1)}" stands twice in one object')
    return found


def render_json(content: Mapping[str, object]) -> str:
    """The sections as JSON."""
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def render_yaml(content: Mapping[str, object]) -> str:
    """The sections as YAML, in the order given; every value on a line of its own."""
    text: str = yaml.dump(
        content,
        Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper),
        default_flow_style=False,
        sort_keys=False,
        allow_unicode=True,
        width=1 << 30,
    )
    return HEAD + text


def _loader() -> Any:
    """libyaml's loader, or Python's where there is no libyaml; both only make plain values."""
    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    made: Any = type("Loader", (base,), {"yaml_implicit_resolvers": {}})
    for tag, form, first in (
        ("null", r"~|null|", ["~", "n", ""]),
        ("bool", r"true|false", ["t", "f"]),
        ("int", r"-?(?:0|[1-9][0-9]*)", list("-0123456789")),
        ("merge", r"<<", ["<"]),
    ):
        made.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"(?:{form})\\Z"), first)
    return made


def _parse_yaml(name: str, text: str) -> list[Document]:
    loader = None
    try:
        _check_depth(name, text)
        loader = _loader()(text)
        return list(_documents(name, loader))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{name}:{mark.line + 1}" if mark else name
        why = getattr(error, "problem", None) or str(error)
        raise BadFileError(f"{place}: it is no YAML: {' '.join(why.split())}") from error
    finally:
        if loader is not None:
            loader.dispose()


def _check_depth(name: str, text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_loader()):
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if depth > _DEEPEST:
            line = event.start_mark.line + 1 if event.start_mark else 0
            raise BadFileError(f"{name}:{line}: it is no YAML of ours: nested too deep")


def _documents(name: str, loader: Any) -> Iterator[Document]:
    while loader.check_node():
        root = loader.get_node()
        if _is_empty(root):
            continue
        _check_twins(name, root)
        value = loader.construct_document(root)
        places = [_place(name, node) for node in _objects_of(root)]
        yield _document(name, value, places.__getitem__)


def _is_empty(root: Node) -> bool:
    return isinstance(root, ScalarNode) and root.tag == "tag:yaml.org,2002:null"


def _objects_of(root: Node) -> list[Node]:
    pairs = root.value if isinstance(root, MappingNode) else []
    found = [value for key, value in pairs if key.value == "objects" and isinstance(value, SequenceNode)]
    return [node for sequence in found for node in sequence.value]


def _place(name: str, node: Node) -> str:
    return f"{name}:{node.start_mark.line + 1}"


def _check_twins(name: str, root: Node) -> None:
    """Refuse a mapping that has a key twice; YAML's reader would keep the last."""
    for node in (root, *_objects_of(root), *_sections_of(root)):
        seen: set[object] = set()
        for key, _ in node.value if isinstance(node, MappingNode) else ():
            if isinstance(key, ScalarNode) and key.value in seen:
                raise BadFileError(f'{_place(name, key)}: "{key.value}" stands twice in one mapping')
            seen.add(key.value if isinstance(key, ScalarNode) else id(key))


def _sections_of(root: Node) -> list[Node]:
    return [value for _, value in root.value] if isinstance(root, MappingNode) else []


def _document(name: str, value: Any, place: Any) -> Document:
    if not isinstance(value, dict) or not set(value) <= set(_SECTIONS):
        raise BadFileError(f"{name}: a document is a mapping of {', '.join(_SECTIONS)}, and of nothing else")
    if value.get("version") != VERSION or isinstance(value["version"], bool):
        raise BadFileError(f"{name}: version {value.get('version')!r}: this netctl reads version {VERSION}")
    objects, records = value.get("objects") or [], value.get("records") or {}
    if not isinstance(objects, list):
        raise BadFileError(f"{name}: objects is no list")
    if not isinstance(records, dict) or not all(isinstance(each, str) for pair in records.items() for each in pair):
        raise BadFileError(f"{name}: records is no mapping of keys to texts")
    return Document(tuple(Entry(each, place(number)) for number, each in enumerate(objects)), records)
