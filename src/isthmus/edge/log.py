"""The daemons' logs: one event a line on stderr, as `time=... level=... event=... field=...`."""

import logging
import sys
from contextlib import suppress

import structlog

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}


def set_up_log(level: str = "info", *, is_json: bool = False) -> None:
    """Send this process's log to stderr from `level` on (one of LEVELS), as logfmt or as JSON lines."""
    renderer = structlog.processors.JSONRenderer() if is_json else _logfmt()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", key="time"),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=lambda *_: _EnduringLogger(sys.stderr),
    )


class _EnduringLogger(structlog.PrintLogger):
    """Does not fail where its disk is full: a daemon goes on without its log."""

    def msg(self, message: str) -> None:
        with suppress(OSError):
            super().msg(message)

    log = debug = info = warn = warning = error = err = critical = fatal = failure = exception = msg


def _logfmt() -> structlog.processors.LogfmtRenderer:
    return structlog.processors.LogfmtRenderer(key_order=("time", "level", "event"), bool_as_flag=False)
