"""Talking to a running lab: find it, reach into its networks, break it and mend it.

Everything here works from any process of root's on the lab's machine and leaves that process where it is.
"""

import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from understudy.lab import kernel
from understudy.lab.state import Folder, Process
from understudy.lab.topology import LabTopology

CALL_SECONDS = 240
"""How long a lab may take to answer; an orderly shutdown of a node is the longest."""

SWITCH = "switch"
CLIENT = "client"
TENANT = "tenant"

_Result = TypeVar("_Result")


class LabError(Exception):
    """The lab did not do what it was told; the message is its own."""


@dataclass(frozen=True)
class NodeStatus:
    """What the lab knows of a node; ``pid`` is its PID 1 on the host, ``mounts`` are of shared disks."""

    power: str
    booted: bool
    frozen: bool
    pid: int | None
    boot_seconds: float | None
    mounts: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class LabStatus:
    """The state of a lab: its nodes by name, what its switch drops, addresses of BMCs that do not answer.

    ``tenant_pid`` is 0 while there is no tenant's machine.
    """

    nodes: Mapping[str, NodeStatus]
    drops: Sequence[Mapping[str, object]]
    dead_bmcs: Sequence[str]
    client_pid: int
    tenant_pid: int = 0


@dataclass(frozen=True)
class Lab:
    """A lab that is up."""

    name: str
    folder: Folder
    topology: LabTopology
    room: Process

    @classmethod
    def find(cls, name: str) -> "Lab | None":
        """Return the lab of this name if it is up and answers; None if it is down."""
        folder = Folder.of(name)
        room = folder.room()
        if room is None or not folder.socket.exists():
            return None
        return cls(name, folder, LabTopology.from_json(folder.topology.read_text(encoding="utf-8")), room)

    @property
    def private_key(self) -> Path:
        """The key that logs in to every node as root."""
        return self.folder.private_key

    @property
    def known_hosts(self) -> Path:
        """The nodes' host keys, in OpenSSH's format."""
        return self.folder.known_hosts

    def call(self, verb: str, **arguments: object) -> object:
        """Give the lab an order and return its answer; raises LabError, also when the lab went away meanwhile."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(CALL_SECONDS)
            try:
                connection.connect(str(self.folder.socket))
                connection.sendall(json.dumps({"verb": verb, "arguments": arguments}).encode() + b"\n")
                with connection.makefile("rb") as answers:
                    line = answers.readline()
            except OSError as error:
                raise LabError(f"lab {self.name} does not answer: {error}") from error
        if not line:
            raise LabError(f"lab {self.name} went away during {verb}")
        reply = json.loads(line)
        if not reply["ok"]:
            raise LabError(reply["error"])
        return reply.get("result")

    def status(self) -> LabStatus:
        """Return the state of the lab."""
        answer = self.call("status")
        if not isinstance(answer, dict):
            raise LabError(f"lab {self.name} gave no status")
        nodes = {name: NodeStatus(**node) for name, node in answer["nodes"].items()}
        return LabStatus(
            nodes, answer["drops"], answer["dead_bmcs"], answer["client_pid"], answer.get("tenant_pid", 0)
        )

    def boot(self, node: str, wait: float = 60) -> None:
        """Switch a node on and wait at most ``wait`` seconds for its start scripts to end."""
        self.call("boot", node=node, wait=wait)

    def crash(self, node: str) -> None:
        """Cut a node's power: what is in memory or not synced to a shared disk is lost."""
        self.call("crash", node=node)

    def power_off(self, node: str) -> None:
        """Shut a node down in order."""
        self.call("power_off", node=node)

    def freeze(self, node: str) -> None:
        """Stop all processes of a node, as if it hung."""
        self.call("freeze", node=node)

    def thaw(self, node: str) -> None:
        """Let a frozen node go on."""
        self.call("thaw", node=node)

    def cut(
        self, node: str, network: str, direction: str = "both", peers: Sequence[str] | None = None
    ) -> None:
        """Lose a node's packets in a network (``in``, ``out``, ``both``), with everybody or with some peers only."""
        self.call(
            "cut", node=node, network=network, direction=direction, peers=list(peers) if peers else None
        )

    def lose(self, node: str, network: str, percent: int, direction: str = "both") -> None:
        """Lose a percentage of a node's packets in a network, chosen at random."""
        self.call("lose", node=node, network=network, percent=percent, direction=direction)

    def heal(self, node: str | None = None, network: str | None = None) -> None:
        """Take back all cuts, or those of a node or a network."""
        self.call("heal", node=node, network=network)

    def kill_bmc(self, node: str) -> None:
        """Have a node's BMC answer no more."""
        self.call("kill_bmc", node=node)

    def revive_bmc(self, node: str) -> None:
        """Have a node's BMC answer again."""
        self.call("revive_bmc", node=node)

    def fail_disk(self, node: str, disk: str) -> None:
        """Have a node lose a shared disk that it has mounted: every access fails until it is mounted anew."""
        self.call("fail_disk", node=node, disk=disk)

    def plug_tenant(self, identifier: int, network: str, mac: str) -> None:
        """Stand a tenant's machine in the VXLAN network of this number, tunnelled through one of the lab's networks."""
        self.call("plug_tenant", identifier=identifier, network=network, mac=mac)

    def lease_tenant(self, address: str, router: str, mtu: int) -> None:
        """Give the tenant's machine its address (with length) and what else came by DHCP."""
        self.call("lease_tenant", address=address, router=router, mtu=mtu)

    def serve_metadata(self, address: str, network: str, secret: str) -> None:
        """Have a stand-in for the Compute API's metadata answer at an address, until the lab ends."""
        self.call("serve_metadata", address=address, network=network, secret=secret)

    def events(self) -> list[dict[str, object]]:
        """Return what happened to the lab's machines so far: ``time`` (seconds since the epoch), ``event``, details."""
        return [json.loads(line) for line in self.folder.events.read_text(encoding="utf-8").splitlines()]

    def pid_of(self, where: str) -> int:
        """Return a process that stands ``where``: switch, client, tenant, or a node by its name. Raises LabError."""
        if where == SWITCH:
            return self.room.pid
        status = self.status()
        if where == CLIENT:
            return status.client_pid
        if where == TENANT and status.tenant_pid:
            return status.tenant_pid
        pid = status.nodes[where].pid if where in status.nodes else None
        if pid is None:
            raise LabError(f"{where} is off" if where in status.nodes else f"no node {where}")
        return pid

    def open_socket(self, address: str, port: int, timeout: float, where: str = SWITCH) -> socket.socket:
        """Return a TCP connection made from inside the lab, ready to be used here. Raises OSError, LabError."""
        pid = self.pid_of(where)

        def connect() -> socket.socket:
            return socket.create_connection((address, port), timeout)

        connection = in_network_of(pid, connect)
        connection.settimeout(None)
        return connection

    def argv_in(self, where: str, command: Sequence[str]) -> list[str]:
        """Return the command that runs a command in a node, or in the network of client, tenant's machine or switch.

        What runs in a node ends when the process that is started with it ends. Raises LabError.
        """
        pid = self.pid_of(where)
        if where in {SWITCH, CLIENT, TENANT}:
            return ["nsenter", f"--target={pid}", "--net", "--", *command]
        enter = [
            "nsenter",
            f"--target={pid}",
            "--mount",
            "--uts",
            "--ipc",
            "--net",
            "--pid",
            "--root",
            "--wd",
        ]
        path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        clean = ["env", "-i", path, "HOME=/root", "LANG=C.UTF-8", f"TERM={os.environ.get('TERM', 'dumb')}"]
        return [*enter, "--", "setpriv", "--pdeathsig", "KILL", "--", *clean, *command]

    def run_in(
        self, where: str, command: Sequence[str], timeout: float = 60, text: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end in a node, or in the network of client, tenant's machine or switch.

        Not for the product's own work on nodes, which goes over SSH. Raises LabError, subprocess.TimeoutExpired.
        """
        return subprocess.run(
            self.argv_in(where, command),
            input=text,
            text=True,
            capture_output=True,
            timeout=timeout,
            check=False,
        )


def in_network_of(pid: int, work: Callable[[], _Result]) -> _Result:
    """Do something in the network namespace of a process and return what it returned.

    A namespace belongs to a thread: one is made for it and thrown away. Sockets made there stay in that namespace.
    """

    def enter() -> _Result:
        descriptor = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
        try:
            kernel.setns(descriptor, kernel.CLONE_NEWNET)
        finally:
            os.close(descriptor)
        return work()

    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(enter).result()


def wait_until_ended(process: Process, seconds: float) -> bool:
    """Wait for a process to end; return False if it has not within ``seconds``."""
    deadline = time.monotonic() + seconds
    while process.alive():
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.01)
    return True


def administrator_session(
    keystone: str,
    password: str,
    seconds: float,
    authority: Path | None = None,
) -> Any:  # noqa: ANN401 - keystoneauth is imported late
    """Return a keystoneauth session of the administrator, with ``seconds`` for each request.

    ``authority`` is whom it trusts to have signed certificates; without it, whom this machine trusts.
    """
    from keystoneauth1.identity import V3Password  # noqa: PLC0415 - costs a third of a second
    from keystoneauth1.session import Session  # noqa: PLC0415

    login = V3Password(
        auth_url=keystone,
        username="admin",
        password=password,
        project_name="admin",
        user_domain_id="default",
        project_domain_id="default",
    )
    return Session(auth=login, timeout=seconds, verify=str(authority) if authority else True)
