"""A chapter's console blocks to commands with their outputs, and two outputs to their difference.

A line of a ```console block is a command if a prompt stands before it: `$ ` on the machine itself,
`root@tutorial-node1:~# ` on a node or on the outside, `/ # ` in the shell of a container. `^C` on its own line is the
key, pressed after the lines above it were printed. Every other line is output; `...` matches any number of lines.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import unified_diff
from itertools import chain, groupby, islice, takewhile

INTERRUPT = "^C"
ANYTHING = "..."
MACHINE = "machine"  # where the lab runs, as against its nodes

_FENCE = re.compile(r"```(?P<language>\w*)\s*")
_PROMPT = re.compile(r"(?:(?P<machine>\$)|root@tutorial-(?P<node>node\d+|outside):~#|(?P<container>/ #)) ")

_PING_REPLY = re.compile(r"\d+ bytes from \S+ seq=N ttl=\d+ time=TIME")
_MEMBER_HEALTH = re.compile(r"https?://\S+ is (?:un)?healthy: .*")  # etcdctl: in the order of the answers
_BLOCK_END = "}"
_SEQUENCE = re.compile(r"^\d+ bytes from \S+ seq=(\d+) ")
_COUNTS = re.compile(r"(\d+) packets transmitted, (\d+) packets received, ")
_DURATION = r"(?:Less than a|About an?|\d+) (?:second|minute|hour|day|week)s?"

# In order: what a line further down replaces may hold what one further up has put there.
_CHANGING: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"(?i)\b(version:?) \S+", r"\1 VERSION"),
        (r"\b[0-9a-f]{64}\b", "ID"),
        (r"\b[0-9a-f]{12}\b", "ID"),
        (r"\bveth[0-9a-f]{7}\b", "vethX"),
        (r"\bish[0-9a-f]{12}\b", "ishX"),
        (r"\b(?:[A-Z2-7]{4}:){11}[A-Z2-7]{4}\b", "ID"),  # an engine's, from before it was a UUID
        (r"\b\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)", "TIME"),
        # Kept: 02:02 are ours, made of the address; 52:54 are the lab's cards.
        (r"(?i)\b(?!02:02|52:54)(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b", "MAC"),
        (r"\bfe80::[0-9a-f:]+", "LINK-LOCAL"),
        (r"\b172\.(?:1[6-9]|2\d|3[01])(?:\.\d+){2}\b", "BRIDGE-ADDRESS"),
        (r"\b(packets|bytes|errors|dropped|overruns|frame|carrier|collisions)([ :])\d+", r"\1\2N"),
        (r"\((?:\d+|\d+\.\d+) [KMG]?i?B\)", "(SIZE)"),
        (r"\btook = \S+", "took = TIME"),
        (r"^\d\d:\d\d:\d\d\.\d{6} ", "TIME "),  # tcpdump's
        (r"\bid \d+, seq \d+", "id N, seq N"),
        (r"\b\d+(?:\.\d+)? ms", "TIME"),
        (r"= [\d.]+/[\d.]+/TIME", "= TIME"),
        (r"\bseq=\d+", "seq=N"),
        (r"\b\d+ packets (transmitted|received)", r"N packets \1"),
        (rf"\b{_DURATION} ago", "WHEN"),
        (rf"\bUp {_DURATION}", "Up TIME"),
        (r"\b(pid|PID) \d+", r"\1 PID"),
        (r":\d{5}\b", ":PORT"),
    )
)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a chapter."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class Step:
    """A command, where it is typed, and what is said to be printed."""

    path: str
    number: int
    place: str  # MACHINE, a node, or the outside
    is_in_container: bool
    command: str
    expected: tuple[Line, ...] = ()

    @property
    def is_interrupted(self) -> bool:
        return any(line.text == INTERRUPT for line in self.expected)

    @property
    def lines_before_interrupt(self) -> int:
        return [line.text for line in self.expected].index(INTERRUPT)

    @property
    def leaves_a_container_open(self) -> bool:
        return self.command != "exit" if self.is_in_container else self.command.startswith("docker exec -it ")

    def __str__(self) -> str:
        return f"{self.path}:{self.number}: {self.place}{'/container' if self.is_in_container else ''}: {self.command}"


class TranscriptError(Exception):
    """A console block cannot be read; the text names file and line."""


def steps(path: str, text: str) -> list[Step]:
    """Give every command of a chapter, in order.

    Raises:
        TranscriptError: a block does not begin with a prompt, or a container's shell stands where none was opened.
    """
    found: list[Step] = []
    for block in _blocks(path, text):
        open_step: Step | None = None
        for line in block:
            if prompt := _PROMPT.match(line.text):
                open_step = _step(path, line, prompt, found)
                found.append(open_step)
            elif open_step is None:
                raise TranscriptError(f"{path}:{line.number}: a console block begins with a prompt, not: {line.text}")
            else:
                found[-1] = replace(found[-1], expected=(*found[-1].expected, line))
    return [replace(step, expected=_without_last_blanks(step.expected)) for step in found]


def difference(step: Step, printed: Sequence[str]) -> str:
    """Give the difference between what stands in the chapter and what was printed, as a unified diff; empty if none.

    The lines of the diff are the normalised ones; above it stand the file and the line where they begin to differ.
    """
    wanted = normalised(step.expected)
    actual = normalised([Line(0, text) for text in printed])
    if _pattern(wanted).fullmatch("".join(f"{line.text}\n" for line in actual)):
        return ""
    filled = _filled(wanted, actual)
    diff = unified_diff(_texts(filled), _texts(actual), str(step), "what is printed", lineterm="")
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(_texts(filled), _texts(actual), strict=False)))
    number = filled[same].number if same < len(filled) else step.number
    return "\n".join([f"{step.path}:{number}: here it begins to differ", *diff])


def normalised(lines: Sequence[Line]) -> list[Line]:
    """Give lines without what changes from run to run; equal ping replies in a row count once.

    Docker lists a network's containers by their ids, so in an order of chance: here they stand in that of their names.
    """
    plain = [Line(line.number, _normalised(line.text)) for line in _without_request_under_way(lines)]
    folded: list[Line] = []
    for text, run in groupby(plain, lambda line: line.text):
        folded += islice(run, 1 if _PING_REPLY.fullmatch(text) else None)
    return _with_sorted_containers(_with_sorted_members(folded))


def _without_request_under_way(lines: Sequence[Line]) -> list[Line]:
    """Call it no loss if a ping was stopped between its last request and that one's reply, all others having come."""
    kept: list[Line] = []
    sequence: list[int] = []
    for line in lines:
        if reply := _SEQUENCE.match(line.text):
            sequence.append(int(reply[1]))
        counts = _COUNTS.match(line.text)
        if counts and sequence == list(range(int(counts[2]))) and int(counts[1]) == len(sequence) + 1:
            kept.append(
                replace(line, text=f"{counts[2]} packets transmitted, {counts[2]} packets received, 0% packet loss")
            )
        else:
            kept.append(line)
    return kept


def _with_sorted_members(lines: list[Line]) -> list[Line]:
    runs = groupby(lines, lambda line: _MEMBER_HEALTH.fullmatch(line.text) is not None)
    return [line for is_member, run in runs for line in (sorted(run, key=lambda line: line.text) if is_member else run)]


def _with_sorted_containers(lines: list[Line]) -> list[Line]:
    """Sort each run of `"ID": {` ... `}` blocks; the comma after all but the last goes."""
    ordered: list[Line] = []
    blocks: list[list[Line]] = []
    for line in lines:
        if line.text == '"ID": {':
            blocks.append([line])
        elif blocks and blocks[-1][-1].text != _BLOCK_END:
            blocks[-1].append(replace(line, text=_BLOCK_END) if line.text == f"{_BLOCK_END}," else line)
        else:
            ordered += [*chain(*sorted(blocks, key=_texts)), line]
            blocks = []
    return [*ordered, *chain(*blocks)]


def _normalised(text: str) -> str:
    text = " ".join(text.split())
    for pattern, replacement in _CHANGING:
        text = pattern.sub(replacement, text)
    return text


def _texts(lines: Sequence[Line]) -> list[str]:
    return [line.text for line in lines]


def _blocks(path: str, text: str) -> Iterator[list[Line]]:
    language, is_open = "", False
    block: list[Line] = []
    for number, content in enumerate(text.splitlines(), start=1):
        fence = _FENCE.fullmatch(content)
        if fence is None:
            block.append(Line(number, content))
        elif is_open:
            is_open = False
            if language == "console":
                yield block
        else:
            is_open, language, block = True, fence["language"], []
    if is_open:
        raise TranscriptError(f"{path}: the last block has no end")


def _step(path: str, line: Line, prompt: re.Match[str], before: Sequence[Step]) -> Step:
    command = line.text[prompt.end() :].strip()
    if prompt["container"] is None:
        return Step(path, line.number, prompt["node"] or MACHINE, is_in_container=False, command=command)
    if not before or not before[-1].leaves_a_container_open:
        raise TranscriptError(f"{path}:{line.number}: no container's shell is open here: {line.text}")
    return Step(path, line.number, before[-1].place, is_in_container=True, command=command)


def _without_last_blanks(lines: tuple[Line, ...]) -> tuple[Line, ...]:
    while lines and not lines[-1].text.strip():
        lines = lines[:-1]
    return lines


def _pattern(wanted: Sequence[Line]) -> re.Pattern[str]:
    parts = (r"(?:.*\n)*?" if line.text == ANYTHING else re.escape(f"{line.text}\n") for line in wanted)
    return re.compile("".join(parts))


def _filled(wanted: Sequence[Line], actual: Sequence[Line]) -> list[Line]:
    """Put, in the place of each `...`, what was printed up to the line that should follow it."""
    filled: list[Line] = []
    at = 0
    for line, following in zip(wanted, [*_texts(wanted[1:]), None], strict=True):
        if line.text != ANYTHING:
            filled.append(line)
            at += 1
            continue
        matched = list(takewhile(lambda other: other.text != following, actual[at:]))  # noqa: B023 - used at once
        filled += [Line(line.number, other.text) for other in matched]
        at += len(matched)
    return filled
