"""The actions of a resource without a daemon: it holds the place of what agents leave on a node.

The agents with ``dataplane=keep`` end and start while it runs, and traffic flows on. Its stop, which Pacemaker runs
after theirs, takes everything away.
"""

from __future__ import annotations

import os

from . import leftovers, ocf, processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .service import Service

KEEP = "keep"


def monitor(service: Service) -> int:
    """Return whether it was started here and not stopped since."""
    return ocf.SUCCESS if os.path.exists(_mark(service)) else ocf.NOT_RUNNING


def start(service: Service) -> int:
    """Note that agents may leave something here; what an earlier boot or a lost stop left is taken away first."""
    if not os.path.exists(_mark(service)):
        leftovers.clear(service, ocf.deadline(service.environ))
        os.makedirs(service.state_directory, 0o755, exist_ok=True)
        processes.write_private(_mark(service), "", 0o600)
    return ocf.SUCCESS


def stop(service: Service) -> int:
    """Take away what agents have left here."""
    leftovers.clear(service, ocf.deadline(service.environ))
    processes.remove(_mark(service))
    return ocf.SUCCESS


def after_stop(service: Service) -> None:
    """Take away what an agent that has just been stopped has left, unless another resource does that."""
    if service.parameter("dataplane") != KEEP:
        leftovers.clear(service, ocf.deadline(service.environ))


def _mark(service: Service) -> str:
    return service.state_file("active")
