"""The `alpine` image of a lab, built from the computer's own busybox, netcat and shell: no registry is asked."""

import http.client
import io
import shutil
import subprocess
import tarfile
from functools import cache
from pathlib import Path
from urllib.parse import urlencode

from isthmus.core.errors import EngineRefusedError, EngineUnavailableError, NotFoundError
from isthmus.lab.process import Process
from isthmus.lab.programs import DOCKER_SOCKET, UnixConnection

NAME = "alpine"
TAG = "latest"
IMPORT_DEADLINE_S = 60.0

BUSYBOX = Path("/bin/busybox")  # Debian's busybox-static: it needs no library
NETCAT = Path("/bin/nc.openbsd")  # busybox's own nc has no -z
SHELL = Path("/bin/bash")  # busybox's own shell would take its own nc, whatever PATH says

_CHANGES = ('CMD ["/bin/sh"]', r'ENV PS1="\\w # "')
_REPLACED = {"nc": NETCAT, "sh": SHELL}

_DIRECTORIES = (
    "bin",
    "dev",
    "etc",
    "home",
    "lib",
    "lib64",
    "mnt",
    "proc",
    "root",
    "run",
    "sys",
    "tmp",
    "usr/bin",
    "var",
)
_FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "etc/os-release": 'ID=isthmus-lab\nPRETTY_NAME="a small image of busybox, in place of alpine"\n',
}


def ensure(host: Process) -> bool:
    """Import the image into the engine unless it has one of that name; say whether it was imported.

    Raises:
        EngineRefusedError: the engine does not take it.
        EngineUnavailableError: the engine does not answer.
        NotFoundError: one of the programs is not installed.
    """
    if _ask(host, "GET", f"/images/{NAME}:{TAG}/json", b"")[0] == 200:
        return False
    query = urlencode({"fromSrc": "-", "repo": NAME, "tag": TAG, "changes": _CHANGES}, doseq=True)
    status, body = _ask(host, "POST", f"/images/create?{query}", tar())
    if status != 200:
        raise EngineRefusedError(status, f"import of {NAME}: {body.decode(errors='replace')}")
    return True


@cache
def tar() -> bytes:
    """Build the image's file system as a tar: busybox and its applets, netcat, a shell, the libraries of these.

    Raises:
        NotFoundError: one of the programs is not installed.
    """
    for needed in (BUSYBOX, NETCAT, SHELL):
        if not needed.exists():
            raise NotFoundError(f"{needed} is not installed; 'make setup' installs it")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name in _DIRECTORIES:
            _add_directory(archive, name)
        for name, text in _FILES.items():
            _add_file(archive, name, text.encode(), mode=0o644)
        _add_file(archive, "bin/busybox", BUSYBOX.read_bytes())
        for applet in _applets():
            _add_link(archive, f"bin/{applet}", "/bin/busybox")
        for name, program in _REPLACED.items():
            _add_file(archive, f"bin/{name}", program.read_bytes())
        for library in sorted({library for program in _REPLACED.values() for library in _libraries(program)}):
            _add_file(archive, str(library).lstrip("/"), library.read_bytes())
    return packed.getvalue()


def _applets() -> list[str]:
    listed = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split()
    return [applet for applet in listed if applet not in {"busybox", *_REPLACED}]


def _libraries(program: Path) -> list[Path]:
    """Give the shared libraries and the loader of a program, at the paths where it looks for them."""
    ldd = shutil.which("ldd")
    if ldd is None:
        raise NotFoundError("'ldd' is not installed; 'make setup' installs it")
    listed = subprocess.run([ldd, program], capture_output=True, text=True, check=True).stdout
    return [Path(word) for word in listed.split() if word.startswith("/")]


def _add_directory(archive: tarfile.TarFile, name: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
    archive.addfile(entry)


def _add_file(archive: tarfile.TarFile, name: str, content: bytes, *, mode: int = 0o755) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    archive.addfile(entry, io.BytesIO(content))


def _add_link(archive: tarfile.TarFile, name: str, target: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = tarfile.SYMTYPE, target
    archive.addfile(entry)


def _ask(host: Process, method: str, path: str, body: bytes) -> tuple[int, bytes]:
    connection = UnixConnection(host.root / DOCKER_SOCKET, IMPORT_DEADLINE_S)
    try:
        connection.request(method, path, body, {"Content-Type": "application/x-tar"})
        reply = connection.getresponse()
        return reply.status, reply.read()
    except (OSError, http.client.HTTPException) as failure:
        raise EngineUnavailableError(f"the engine does not answer about image {NAME}: {failure}") from failure
    finally:
        connection.close()
