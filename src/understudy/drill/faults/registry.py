"""All faults by name. Each step's undoing is noted where it is done, before it is done; see ``on_node``."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal

from understudy.drill.faults.model import (
    Aim,
    Facts,
    Fault,
    FaultError,
    LabStep,
    LabVerb,
    NodeStep,
    ServiceFacts,
    Step,
)

BROKEN = "[[[ this file was broken by a drill\n"
PACEMAKER_DAEMONS = ("pacemaker-based", "pacemaker-controld", "pacemaker-execd", "pacemaker-fenced")
_DAEMONS = (("corosync", "corosync"), ("pacemaker", "pacemakerd"))
RED, ORANGE, PURPLE, BLUE, GREY = "#c4314b", "#d9730d", "#7f4fc9", "#2b6cb0", "#6b7280"

Direction = Literal["in", "out", "both"]
_SIDES: Mapping[Literal["minority", "majority"], str] = {
    "minority": "active with the minority",
    "majority": "active with the majority",
}


def _service(facts: Facts, aim: Aim) -> ServiceFacts:
    if aim.service not in facts.services:
        raise FaultError(f"there is no service {aim.service}")
    return facts.services[aim.service]


def _signal(facts: Facts, aim: Aim, *, name: str) -> tuple[Step, ...]:
    service = _service(facts, aim)
    if service.port is None and not service.pid_file:
        raise FaultError(f"{service.name} has no processes of its own")
    found = {"pid_file": service.pid_file} if service.port is None else {"port": service.port}
    step = {"do": "signal", "signal": name, **found}
    return tuple(NodeStep(node, step) for node in aim.nodes)


def _file(facts: Facts, aim: Aim, *, change: Mapping[str, object]) -> tuple[Step, ...]:
    service = _service(facts, aim)
    if not service.files:
        raise FaultError(f"{service.name} has no configuration file that is known")
    step = {"do": "file", "path": service.files[0], **change}
    changed = tuple(NodeStep(node, step) for node in aim.nodes)
    return (*changed, *_signal(facts, aim, name="KILL"))


def _move(facts: Facts, aim: Aim) -> tuple[Step, ...]:
    """Ban the address from where it is, as ``crm resource move`` and ``pcs resource move`` do; the cluster chooses."""
    resource = _service(facts, aim).moves
    if not aim.others:
        raise FaultError("there is no other node to move to")
    argv = ["crm_resource", "--resource", resource, "--ban", "--node", aim.nodes[0]]
    undo = ["crm_resource", "--resource", resource, "--clear"]
    return (NodeStep(aim.others[0], {"do": "command", "argv": argv, "undo": undo}),)


def _standby(facts: Facts, aim: Aim) -> tuple[Step, ...]:
    del facts
    return tuple(
        NodeStep(
            node,
            {
                "do": "command",
                "argv": ["crm_attribute", "--node", node, "--name", "standby", "--update", "on"],
                "undo": ["crm_attribute", "--node", node, "--name", "standby", "--delete"],
            },
        )
        for node in aim.nodes
    )


def _lab(facts: Facts, aim: Aim, *, verb: LabVerb, undo: LabVerb) -> tuple[Step, ...]:
    del facts
    return tuple(LabStep(node, verb, undo) for node in aim.nodes)


def _reboot(facts: Facts, aim: Aim) -> tuple[Step, ...]:
    return _lab(facts, aim, verb="power_off", undo="boot")


def _filtered(node: str, peers: tuple[str, ...], direction: Direction, percent: int = 100) -> NodeStep:
    step = {"do": "filter", "peers": list(peers), "direction": direction, "percent": percent}
    return NodeStep(node, step)


def _cluster_cut(
    facts: Facts, aim: Aim, *, direction: Direction = "both", percent: int = 100
) -> tuple[Step, ...]:
    """Cut the aimed nodes off from all others on the cluster's links; among themselves they still talk."""
    far = tuple(address for node in aim.others for address in facts.links[node])
    if not far:
        raise FaultError("there is nobody to be cut off from")
    return tuple(_filtered(node, far, direction, percent) for node in aim.nodes)


def _isolated(facts: Facts, aim: Aim) -> tuple[Step, ...]:
    """Cut every node off from every other."""
    return tuple(
        _filtered(node, tuple(a for peer in facts.nodes if peer != node for a in facts.links[peer]), "both")
        for node in aim.nodes
    )


def _client_cut(facts: Facts, aim: Aim) -> tuple[Step, ...]:
    if not facts.client_networks:
        raise FaultError("there is no network of clients")
    return tuple(_filtered(node, facts.client_networks, "both") for node in aim.nodes)


def _lost(facts: Facts, aim: Aim) -> tuple[Step, ...]:
    """Have a service stopped everywhere, through Pacemaker, so that nothing recovers it."""
    resource = _service(facts, aim).primitive
    meta = ["--meta", "--set-parameter", "target-role", "--parameter-value", "Stopped"]
    undo = ["crm_resource", "--resource", resource, "--meta", "--delete-parameter", "target-role"]
    step = {"do": "command", "argv": ["crm_resource", "--resource", resource, *meta], "undo": undo}
    return (NodeStep(aim.nodes[0], step),)


def _mount(facts: Facts, aim: Aim) -> str:
    service = facts.services.get(aim.service)
    wanted = service.storage if service else next(iter(facts.mounts), None)
    if wanted is None or wanted not in facts.mounts:
        raise FaultError(f"{aim.service or 'the spec'} has no shared storage")
    return facts.mounts[wanted]


def _storage_gone(facts: Facts, aim: Aim) -> tuple[Step, ...]:
    return (NodeStep(aim.nodes[0], {"do": "lose-file-system", "path": _mount(facts, aim)}),)


def _full(facts: Facts, aim: Aim) -> tuple[Step, ...]:
    """Fill storage where it is mounted, and have every other node ready to empty it: it may move while it is full."""
    path = _mount(facts, aim)
    others = (node for node in facts.nodes if node != aim.nodes[0])
    awaiting = (NodeStep(node, {"do": "await-full", "path": path}) for node in others)
    return (NodeStep(aim.nodes[0], {"do": "fill", "path": path}), *awaiting)


def _fencing_dead(facts: Facts, aim: Aim) -> tuple[Step, ...]:
    """Make the board controllers of the aimed nodes unreachable from all others, who would use them."""
    addresses = tuple(facts.board_controllers[node] for node in aim.nodes if node in facts.board_controllers)
    if not addresses:
        raise FaultError("there is no fencing device")
    return tuple(_filtered(node, addresses, "both") for node in facts.nodes if node not in aim.nodes)


def _daemon(facts: Facts, aim: Aim, *, names: tuple[str, ...]) -> tuple[Step, ...]:
    del facts
    step = {
        "do": "daemons",
        "signal": "KILL",
        "names": list(names),
        "daemons": [list(each) for each in _DAEMONS],
    }
    return tuple(NodeStep(node, step) for node in aim.nodes)


Steps = Callable[[Facts, Aim], tuple[Step, ...]]
_killed: Steps = partial(_signal, name="KILL")
_hung: Steps = partial(_signal, name="STOP")

_ALL = (
    Fault("process-killed", "process killed", RED, "service", _killed),
    Fault("process-hung", "process hung", ORANGE, "service", _hung, hold=10, may_fence=True),
    Fault(
        "start-refused",
        "service refuses to start",
        RED,
        "service",
        partial(_file, change={"mode": 0}),
        hold=15,
        mended_by_hand=True,
    ),
    Fault(
        "configuration-broken",
        "configuration broken",
        RED,
        "service",
        partial(_file, change={"content": BROKEN}),
        hold=15,
        mended_by_hand=True,
    ),
    Fault("move", "planned move", BLUE, "service", _move, asked=True),
    Fault("standby", "node in standby", BLUE, "node", _standby, asked=True, hold=10),
    Fault(
        "power-loss",
        "power loss",
        RED,
        "node",
        partial(_lab, verb="crash", undo="boot"),
        reach="lab",
        hold=10,
        fences=True,
    ),
    Fault("reboot", "node reboot", PURPLE, "node", _reboot, reach="lab", hold=10, fences=True),
    Fault(
        "node-hung",
        "node hung",
        ORANGE,
        "node",
        partial(_lab, verb="freeze", undo="thaw"),
        reach="lab",
        hold=10,
        fences=True,
    ),
    Fault("cluster-cut", "cluster network cut", PURPLE, "node", _cluster_cut, hold=10, fences=True),
    Fault(
        "cluster-cut-in",
        "cluster network deaf",
        PURPLE,
        "node",
        partial(_cluster_cut, direction="in"),
        hold=10,
        fences=True,
    ),
    Fault(
        "cluster-cut-out",
        "cluster network mute",
        PURPLE,
        "node",
        partial(_cluster_cut, direction="out"),
        hold=10,
        fences=True,
    ),
    *(
        Fault(
            f"cluster-cut-{side}",
            f"cluster network cut, {words}",
            PURPLE,
            "node",
            _cluster_cut,
            hold=10,
            fences=True,
            side=side,
        )
        for side, words in _SIDES.items()
    ),
    Fault("cluster-cut-all", "every node alone", PURPLE, "node", _isolated, role="all", hold=15, fences=True),
    Fault("client-cut", "client network cut", PURPLE, "node", _client_cut, hold=15),
    Fault(
        "packet-loss",
        "a third of the packets lost",
        ORANGE,
        "node",
        partial(_cluster_cut, percent=30),
        hold=15,
        fences=True,
    ),
    Fault("database-lost", "database lost", RED, "service", _lost, provides="database", hold=10),
    Fault("broker-lost", "broker lost", RED, "service", _lost, provides="messaging", hold=10),
    Fault("identity-lost", "Keystone lost", RED, "service", _lost, provides="identity", hold=10),
    Fault(
        "storage-gone",
        "shared storage gone",
        RED,
        "storage",
        _storage_gone,
        hold=10,
        fences=True,
    ),
    Fault(
        "disk-full",
        "disk full",
        ORANGE,
        "storage",
        _full,
        hold=10,
        mended_by_hand=True,
    ),
    Fault("fencing-dead", "fencing device dead", GREY, "fencing", _fencing_dead, hold=10),
    Fault(
        "corosync-killed",
        "Corosync killed",
        RED,
        "node",
        partial(_daemon, names=("corosync",)),
        hold=10,
        fences=True,
    ),
    *(
        Fault(
            f"{name}-killed",
            f"{name} killed",
            RED,
            "node",
            partial(_daemon, names=(name,)),
            hold=10,
            fences=True,
        )
        for name in PACEMAKER_DAEMONS
    ),
)
FAULTS: Mapping[str, Fault] = {fault.name: fault for fault in _ALL}
