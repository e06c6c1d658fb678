"""The two families of errors that Isthmus raises on purpose; everything else is a bug.

A *refusal* is the caller's to mend: its text is fit for an operator and names the thing and the limit.
An *edge failure* is the outside's fault: it keeps its cause (`raise ... from`), and the loop tries again.

    IsthmusError
        InvalidError          the request itself is malformed
        NotFoundError         what it names does not exist
        ConflictError         it contradicts what exists
        ExhaustedError        a pool, range or table is full
    EdgeError
        StoreUnavailableError     etcd does not answer, or has no quorum
        EngineUnavailableError    the container engine does not answer
        EngineRefusedError        the container engine answered no
        KernelRefusedError        a netlink or bpf call failed, with its errno
        UnreadableRecordError     a record in etcd is not what this version writes
"""

from errno import errorcode


class IsthmusError(Exception):
    """A refusal: the caller asked for what cannot be."""


class InvalidError(IsthmusError):
    """The request is malformed: a field's format, length or range."""


class NotFoundError(IsthmusError):
    """The object that the request names does not exist."""


class ConflictError(IsthmusError):
    """The request contradicts what exists: in use, taken, overlapping, already there."""


class ExhaustedError(IsthmusError):
    """Nothing is left of a pool, a range or a table."""


class EdgeError(Exception):
    """Something outside failed; the loop that asked will try again."""


class StoreUnavailableError(EdgeError):
    """Etcd does not answer within the deadline, or its cluster has no quorum."""


class UnreadableRecordError(EdgeError):
    """A value in etcd that this version cannot read, a later version's perhaps; the text names its key."""


class EngineUnavailableError(EdgeError):
    """The container engine's API cannot be reached."""


class EngineRefusedError(EdgeError):
    """The container engine answered with an error.

    `status` is the HTTP status, `reason` the engine's own text.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{reason} (HTTP {status})")
        self.status = status
        self.reason = reason


class KernelRefusedError(EdgeError):
    """A netlink or bpf call failed; `errno` says why, the text says what was asked. 0: the text says both."""

    def __init__(self, errno: int, asked: str) -> None:
        super().__init__(f"{asked}: {errorcode.get(errno, '')} (errno {errno})" if errno else asked)
        self.errno = errno
        self.asked = asked
