"""How long each service may be without service, per fault: an upper bound from the configuration alone.

Detection + decision + the longest chain of fencing, stops and starts up to the service's last start, every operation
taking its whole timeout or, where a drill has measured it, its real duration. Corosync declares a node lost after
``token + (nodes - 2) * token_coefficient`` and ``consensus``, 1.2 times that unless set (corosync.conf(5)).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from understudy.proof.configuration import Configuration
from understudy.proof.play import Step

OPERATION_TIMEOUT = 20_000


@dataclass(frozen=True)
class Timing:
    """Corosync's membership timeouts in milliseconds, and Pacemaker's time from event to transition."""

    token: int = 3000
    token_coefficient: int = 650
    consensus: int = 0
    decision: int = 1000

    def detection(self, nodes: int) -> float:
        """Return the seconds until Corosync reports a silent node in a cluster of so many."""
        real = self.token + max(nodes - 2, 0) * self.token_coefficient
        return (real + (self.consensus or real * 1.2)) / 1000


def _operation_time(facts: Configuration, name: str, task: str) -> float:
    item = facts.resources.get(name.partition(":")[0])
    for operation in item.operations if item else ():
        if operation.name == task and (task != "monitor" or operation.interval):
            return (operation.interval + (operation.timeout or OPERATION_TIMEOUT)) / 1000
    return 0.0 if task == "monitor" else OPERATION_TIMEOUT / 1000


def detection(step: Step, facts: Configuration, timing: Timing) -> float:
    """Return the seconds within which the cluster notices a fault."""
    kind = step.fault.kind
    if kind in ("node-lost", "partition", "fencing-fails", "fencing-slow", "maintenance"):
        return timing.detection(len(facts.cluster_nodes))
    if kind in ("monitor", "monitor-limit", "link-lost"):
        return max((_operation_time(facts, name, "monitor") for name, _ in step.struck.hit), default=0.0)
    if kind in ("start", "stop", "promote"):
        return max((_operation_time(facts, name, kind) for name, _ in step.struck.hit), default=0.0)
    return 0.0


def interruptions(step: Step, facts: Configuration, timing: Timing) -> Mapping[str, float]:
    """Return for every service that was interrupted the seconds after which it serves again at the latest."""
    elapsed = detection(step, facts, timing)
    found: dict[str, float] = {}
    for transition in step.transitions:
        elapsed += timing.decision / 1000
        for action in transition.effective:
            base = action.resource.partition(":")[0]
            item = facts.resources.get(base)
            if item is None or item.fencing or action.task not in ("start", "promote"):
                continue
            service = facts.root(base)
            found[service] = max(found.get(service, 0.0), elapsed + action.until)
        elapsed += max((action.until for action in transition.actions), default=0.0)
    return {service: round(seconds, 3) for service, seconds in found.items()}
