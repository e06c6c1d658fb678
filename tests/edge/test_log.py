"""What a daemon says, and that it lives on where it cannot say it."""

import subprocess
import sys
from pathlib import Path

_DAEMON = """
import structlog
from isthmus.edge.log import set_up_log

set_up_log()
log = structlog.get_logger()
for number in range(1000):
    log.warning("could not keep what is known", number=number)
    log.info("made", number=number)
print("alive")
"""


def said(stderr: Path) -> list[str]:
    with stderr.open("w") as stream:
        done = subprocess.run([sys.executable, "-c", _DAEMON], stdout=subprocess.PIPE, stderr=stream, check=True)
    assert done.stdout == b"alive\n"
    return stderr.read_text().splitlines() if stderr.is_file() else []


def test_a_log_is_one_event_a_line(tmp_path: Path) -> None:
    lines = said(tmp_path / "log")
    assert len(lines) == 2000
    assert all(line.startswith("time=") and "level=" in line for line in lines)


def test_a_log_on_a_full_disk_is_lost_and_the_daemon_goes_on() -> None:
    said(Path("/dev/full"))
