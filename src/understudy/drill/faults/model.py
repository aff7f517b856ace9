"""What a fault is, and what it may know (pure)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Role = Literal["active", "passive", "coordinator", "all"]
Needs = Literal["node", "service", "storage", "fencing"]
Reach = Literal["lab", "anywhere"]
LabVerb = Literal["crash", "boot", "power_off", "freeze", "thaw"]


@dataclass(frozen=True)
class NodeStep:
    """Something done on a node by ``faults.on_node``; it notes there by itself how to take it back."""

    node: str
    step: Mapping[str, Any]


@dataclass(frozen=True)
class LabStep:
    """Something that only the lab can do to a node; ``undo`` takes it back."""

    node: str
    verb: LabVerb
    undo: LabVerb


Step = NodeStep | LabStep


@dataclass(frozen=True)
class ServiceFacts:
    """A service as faults see it.

    ``resource`` is what commands about the whole of it name, ``primitive`` its copy's resource; ``moves`` the resource
    that clients follow when it moves: its address, else itself. ``port`` is its copies' own, behind HAProxy too;
    ``files`` are its configuration, the first one fatal.
    """

    name: str
    resource: str
    primitive: str
    moves: str
    port: int | None = None
    files: tuple[str, ...] = ()
    storage: str | None = None
    pid_file: str = ""
    """Where the resource agent keeps the process of a service without a port."""


@dataclass(frozen=True)
class Facts:
    """The spec as faults see it: addresses by node of the cluster's links, of clients' networks as prefixes."""

    nodes: tuple[str, ...]
    links: Mapping[str, tuple[str, ...]]
    client_networks: tuple[str, ...]
    services: Mapping[str, ServiceFacts]
    board_controllers: Mapping[str, str]
    mounts: Mapping[str, str]
    roles: Mapping[str, str]
    """Services by what they provide: ``database``, ``messaging``, ``identity``."""
    silence: float = 0.0
    """So many seconds a node is silent until the others hold it for lost."""

    def paths(self) -> tuple[str, ...]:
        """Return every path that a fault may change, to be looked at afterwards."""
        files = (path for service in self.services.values() for path in service.files)
        return tuple(dict.fromkeys((*files, *self.mounts.values())))


@dataclass(frozen=True)
class Aim:
    """What a fault is aimed at: nodes, a service if it is about one, and all the others."""

    nodes: tuple[str, ...]
    service: str = ""
    others: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """The aim for people."""
        nodes = ", ".join(self.nodes)
        return f"{self.service} on {nodes}" if self.service else nodes


FENCING_SECONDS = 5.0
"""From the moment at which a node is held for lost until it is fenced, and what it ran has begun to start."""


class FaultError(Exception):
    """A fault does not fit here; the message says why."""


@dataclass(frozen=True)
class Fault:
    """A unit of inject, heal, label and colour.

    ``steps`` returns what is done, in order; healing takes it back, last first, each step by its own undoing. ``hold``
    is how many seconds it stays in any case, ``settle`` how long afterwards the cluster may take to be healthy again.
    ``fences`` says that fencing its nodes is right. ``colour`` is its band's in pictures.
    """

    name: str
    title: str
    colour: str
    needs: Needs
    steps: Callable[[Facts, Aim], tuple[Step, ...]]
    role: Role = "active"
    reach: Reach = "anywhere"
    hold: float = 5.0
    fences: bool = False
    asked: bool = False
    """The cluster is asked for it, and does it in order: it stands until that is done."""
    may_fence: bool = False
    """What is hit may be past stopping."""
    provides: str = ""
    """The fault is about the service with this role; empty: about the one that is asked for."""
    mended_by_hand: bool = False
    """Pacemaker gives a copy up that could not start; who mends what kept it from starting has that forgotten, too."""
    side: Literal["", "minority", "majority"] = ""
    """It strikes a whole minority of the nodes: the aimed node is one of them, or stays with the majority."""

    @property
    def settle(self) -> float:
        """Return the seconds it may take: a node that was fenced boots, and starts all of its services at once.

        What cannot be stopped gets its node fenced, after its stop has taken the time that it may take.
        """
        return 300.0 if self.fences or self.may_fence else 120.0

    def stands(self, facts: Facts) -> float:
        """Return the seconds that it stays at least: what is to end in fencing, until that can have begun."""
        return max(self.hold, facts.silence + FENCING_SECONDS) if self.fences else self.hold

    def label(self, aim: Aim) -> str:
        """Return what a picture calls it."""
        return f"{self.title}: {aim.words}"
