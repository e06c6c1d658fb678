"""`netctl version`."""

from isthmus import __version__
from isthmus.netctl.client import Object, RefusedError, UnreachableError
from isthmus.netctl.command import Call, Command, FailedError

CLIENT: Object = {"Version": __version__}


def _version(call: Call) -> None:
    call.no_arguments()
    try:
        server = call.client.version()
    except UnreachableError as error:
        raise FailedError(str(error), exit_code=2) from error
    except RefusedError as error:
        raise FailedError(f"Status {error.status} in request response: {error}") from error
    print(f"Client Version:\n{_lines(CLIENT)}\nServer Version:\n{_lines(server)}", end="")


def _lines(version: Object) -> str:
    return "".join(f"{field}: {version.get(field) or 'unknown'}\n" for field in ("Version", "GitCommit", "BuildTime"))


COMMAND = Command(("version",), "Show this program's version and the master's", run=_version)
