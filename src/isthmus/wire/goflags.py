"""Command lines in the form of Go's `flag` package, as Contiv's programs took them.

One dash or two; a value after `=` or as the next word; booleans alone or as `-a=true`. Options may stand
before or after the positional words: those after the first option come first, then those before it, then all
that follow `--`.

The values here are named tuples, since netctl would pay 6 ms of its start for dataclasses.

Source: Go's package flag, "Command line flag syntax"; spec 1.1.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum
from typing import NamedTuple, TypeVar

from isthmus.core.errors import InvalidError

Value = str | int | bool | tuple[str, ...]

_T = TypeVar("_T", str, int, bool, tuple[str, ...])


class Kind(Enum):
    """What follows an option."""

    TEXT = "text"
    NUMBER = "number"
    SWITCH = "switch"
    LIST = "list"  # may be repeated; its values are kept in order


_ABSENT: Mapping[Kind, Value] = {Kind.TEXT: "", Kind.NUMBER: 0, Kind.SWITCH: False, Kind.LIST: ()}


class Flag(NamedTuple):
    """One option. The first of `names` is the one by which its value is read; none has a dash.

    `completes` is what a shell may offer for its value, in the program's own words.
    """

    names: tuple[str, ...]
    help: str
    kind: Kind = Kind.TEXT
    default: Value | None = None
    completes: str = ""

    @property
    def name(self) -> str:
        """The option's main name."""
        return self.names[0]

    @property
    def absent_value(self) -> Value:
        """What it is worth where the command line does not say it."""
        return _ABSENT[self.kind] if self.default is None else self.default


class Parsed(NamedTuple):
    """A command line, taken apart. `given` names the options that were really there."""

    values: Mapping[str, Value]
    positionals: tuple[str, ...]
    given: frozenset[str]

    def text(self, name: str) -> str:
        """A TEXT option's value."""
        return self._typed(name, str)

    def number(self, name: str) -> int:
        """A NUMBER option's value."""
        return self._typed(name, int)

    def is_on(self, name: str) -> bool:
        """A SWITCH option's value."""
        return self._typed(name, bool)

    def texts(self, name: str) -> tuple[str, ...]:
        """A LIST option's values, in the order given."""
        return self._typed(name, tuple)

    def _typed(self, name: str, kind: type[_T]) -> _T:
        value = self.values[name]
        if not isinstance(value, kind):
            raise TypeError(f"option {name} is a {type(value).__name__}")
        return value


def parse(flags: Iterable[Flag], words: Sequence[str]) -> Parsed:
    """Take `words` apart by the options that `flags` allow.

    Raises:
        InvalidError: an unknown option, a missing or a malformed value; the text names it.
    """
    before, optional, after = _split(words)
    draft = _Draft(flags)
    between: list[str] = []
    rest = iter(optional)
    for word in rest:
        if is_option(word):
            draft.take(word, rest)
        else:
            between.append(word)
    return draft.done((*between, *before, *after))


def parse_leading(flags: Iterable[Flag], words: Iterable[str]) -> Parsed:
    """As `parse`, for the options ahead of the first other word; it and all that follow are positional.

    Raises:
        InvalidError: as `parse`.
    """
    draft = _Draft(flags)
    rest = iter(words)
    for word in rest:
        if not is_option(word):
            return draft.done((word, *rest))
        draft.take(word, rest)
    return draft.done(())


class _Draft:
    """The options seen so far."""

    def __init__(self, flags: Iterable[Flag]) -> None:
        self._flags_by_name = {name: flag for flag in flags for name in flag.names}
        self._values: dict[str, Value] = {flag.name: flag.absent_value for flag in self._flags_by_name.values()}
        self._lists: dict[str, list[str]] = {}
        self._given: set[str] = set()

    def take(self, word: str, rest: Iterator[str]) -> None:
        name, is_assigned, text = word.removeprefix("-").removeprefix("-").partition("=")
        if not name or name.startswith("-"):
            raise InvalidError(f"bad option syntax: {word}")
        flag = self._flags_by_name.get(name)
        if flag is None:
            raise InvalidError(f"option provided but not defined: -{name}")
        if not is_assigned:
            text = "true" if flag.kind is Kind.SWITCH else _next_word(name, rest)
        self._given.add(flag.name)
        self._keep(flag, name, text)

    def _keep(self, flag: Flag, name: str, text: str) -> None:
        match flag.kind:
            case Kind.TEXT:
                self._values[flag.name] = text
            case Kind.NUMBER:
                self._values[flag.name] = _number(name, text)
            case Kind.SWITCH:
                self._values[flag.name] = _switch(name, text)
            case Kind.LIST:
                self._lists.setdefault(flag.name, []).append(text)

    def done(self, positionals: tuple[str, ...]) -> Parsed:
        lists = {name: tuple(texts) for name, texts in self._lists.items()}
        return Parsed({**self._values, **lists}, positionals, frozenset(self._given))


def usage(flags: Iterable[Flag]) -> str:
    """The options, one a line, for a help text."""
    heads = [(_head(flag), flag) for flag in flags]
    width = max((len(head) for head, _ in heads), default=0)
    return "".join(f"   {head:<{width}}  {flag.help}{_default_note(flag)}\n" for head, flag in heads)


def _head(flag: Flag) -> str:
    names = ", ".join(("-" if len(name) == 1 else "--") + name for name in flag.names)
    return names if flag.kind is Kind.SWITCH else f"{names} value"


def _default_note(flag: Flag) -> str:
    return f" (default: {flag.default})" if flag.default not in (None, "", False, 0) else ""


def _split(words: Sequence[str]) -> tuple[Sequence[str], Sequence[str], Sequence[str]]:
    """The words before the first option, those from there on, and those after `--`."""
    end = words.index("--") if "--" in words else len(words)
    first = next((place for place, word in enumerate(words[:end]) if is_option(word)), end)
    return words[:first], words[first:end], words[end + 1 :]


def is_option(word: str) -> bool:
    """Whether a word is an option's, and no positional one."""
    return word.startswith("-") and word != "-"  # Go takes a lone dash for a positional word


def _next_word(name: str, rest: Iterator[str]) -> str:
    text = next(rest, None)
    if text is None:
        raise InvalidError(f"option needs a value: -{name}")
    return text


# strconv.ParseBool and ParseInt(text, 0, 64) of Go.
_SWITCHES = {
    **dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True),
    **dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False),
}
_OCTAL = re.compile(r"[+-]?0[0-7]+")


def _switch(name: str, text: str) -> bool:
    if text not in _SWITCHES:
        raise InvalidError(f'invalid value "{text}" for option -{name}: true or false is wanted')
    return _SWITCHES[text]


def _number(name: str, text: str) -> int:
    try:
        return int(text, 8) if _OCTAL.fullmatch(text) else int(text, 0)
    except ValueError:
        raise InvalidError(f'invalid value "{text}" for option -{name}: a whole number is wanted') from None
