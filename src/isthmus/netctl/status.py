"""`netctl status`: what it is called with. What it does is loaded when it is called."""

from isthmus.netctl.command import JSON, Call, Command


def _status(call: Call) -> None:
    from isthmus.netctl.glance import show_status

    show_status(call)


COMMAND = Command(
    ("status",), "The whole cluster at a glance; exits with 3 unless all is in sync", flags=(JSON,), run=_status
)
