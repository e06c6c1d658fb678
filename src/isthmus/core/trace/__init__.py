"""A packet's way through the datapath, in Python: `trace(tables, arrival)` says how it ends, and why."""

from isthmus.core.trace.drops import DropReason
from isthmus.core.trace.walk import (
    Answer,
    Arrival,
    Deliver,
    Drop,
    Encapsulate,
    FromContainer,
    FromOverlay,
    FromUnderlay,
    PassToKernel,
    Tables,
    ToUnderlay,
    Trace,
    Verdict,
    tables_of,
    trace,
)

__all__ = [
    "Answer",
    "Arrival",
    "Deliver",
    "Drop",
    "DropReason",
    "Encapsulate",
    "FromContainer",
    "FromOverlay",
    "FromUnderlay",
    "PassToKernel",
    "Tables",
    "ToUnderlay",
    "Trace",
    "Verdict",
    "tables_of",
    "trace",
]
