"""Session settings that make a model faster on this machine, and sessions that use them."""

from ncgopt.runtime.tuned import SessionSettings
from ncgopt.tune.sidecar import NotTunedHere, read, session, sidecar_of, write
from ncgopt.tune.tune import Attempt, Requests, TuneReport, tune

__all__ = [
    "Attempt",
    "NotTunedHere",
    "Requests",
    "SessionSettings",
    "TuneReport",
    "read",
    "session",
    "sidecar_of",
    "tune",
    "write",
]
