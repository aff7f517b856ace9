"""A cluster that is a script of answers: what the kinds ask of it, and what they send."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from understudy.hosts.model import Completed
from understudy.hosts.remote import COMMAND, calls_of
from understudy.kinds.cluster_resources import fresh_cib
from understudy.kinds.model import World

NODES = ("one", "two", "three")
Answer = Callable[[dict[str, Any]], Any]


@dataclass
class Cluster:
    """What nodes of a cluster would answer; ``calls`` and ``commands`` are what they were asked, by node."""

    nodes: Sequence[str] = NODES
    online: Sequence[str] = NODES
    quorate: bool = True
    running: dict[str, str] = field(default_factory=dict)
    more_running: list[tuple[str, str]] = field(default_factory=list)
    """Further copies."""
    cib: str = field(default_factory=lambda: fresh_cib(NODES))
    formed: bool = True
    failed: list[tuple[str, str]] = field(default_factory=list)
    """Operations and nodes of the failures that count: crm_mon leaves those out whose time is over."""
    answers: dict[str, Answer] = field(default_factory=dict)
    """How a call of the node's script is answered, by its verb."""
    programs: dict[str, Callable[[list[str], bytes], Completed]] = field(default_factory=dict)
    """How a program is answered, by its name."""
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    commands: list[tuple[str, list[str]]] = field(default_factory=list)

    def world(self) -> World:
        return World({node: ScriptedHost(node, self) for node in self.nodes}, wait_factor=0.001)

    def asked(self, verb: str) -> list[dict[str, Any]]:
        return [call for _, call in self.calls if call["do"] == verb]

    def ran(self, program: str) -> list[tuple[str, list[str]]]:
        return [
            (node, call["argv"])
            for node, call in self.calls
            if call["do"] == "run" and call["argv"][0] == program
        ]

    def ran_itself(self, program: str) -> list[list[str]]:
        """Return how a program was run on the hosts themselves."""
        return [argv for _, argv in self.commands if argv[0] == program]

    def status(self) -> str:
        nodes = "".join(
            f'<node name="{node}" online="{str(node in self.online).lower()}" unclean="false" standby="false"/>'
            for node in self.nodes
        )
        resources = "".join(
            f'<resource id="{name}" role="Started" failed="false" managed="true"><node name="{node}"/></resource>'
            for name, node in [*self.running.items(), *self.more_running]
        )
        failures = "".join(f'<failure op_key="{key}" node="{node}"/>' for key, node in self.failed)
        quorum = str(self.quorate).lower()
        return (
            f'<pacemaker-result><summary><current_dc name="one" with_quorum="{quorum}"/></summary>'
            f"<nodes>{nodes}</nodes><resources>{resources}</resources>"
            f"<failures>{failures}</failures></pacemaker-result>"
        )


@dataclass
class ScriptedHost:
    """One node of such a cluster."""

    name: str
    cluster: Cluster

    async def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = 30.0) -> Completed:  # noqa: ASYNC109
        if tuple(argv) == COMMAND:
            answers = [self._answer(call) for call in calls_of(stdin)]
            return Completed(tuple(argv), 0, json.dumps(answers).encode(), b"")
        self.cluster.commands.append((self.name, list(argv)))
        program = argv[0]
        if program in self.cluster.programs:
            return self.cluster.programs[program](list(argv), stdin)
        if not self.cluster.formed:
            return Completed(tuple(argv), 102, b"", b"not connected")
        if program == "crm_mon":
            return Completed(tuple(argv), 0, self.cluster.status().encode(), b"")
        if program == "crmadmin":
            return Completed(tuple(argv), 0, b"Controller on one in state S_IDLE: ok", b"")
        if list(argv) == ["cibadmin", "--query"]:
            return Completed(tuple(argv), 0, self.cluster.cib.encode(), b"")
        raise AssertionError(f"{self.name}: no answer to {argv} within {timeout} s")

    def _answer(self, call: dict[str, Any]) -> Mapping[str, Any]:
        self.cluster.calls.append((self.name, call))
        if call["do"] not in self.cluster.answers:
            raise AssertionError(f"{self.name}: no answer to {call}")
        answer = self.cluster.answers[call["do"]]({**call, "node": self.name})
        return answer if isinstance(answer, dict) and "refused" in answer else {"ok": answer}

    async def open_connection_port(self, address: str, port: int) -> int:
        raise AssertionError(f"{self.name}: no connection to {address}:{port} was expected")


def done(stdout: str = "", exit_status: int = 0, stderr: str = "") -> dict[str, object]:
    """Return the answer to a program that a node's script ran."""
    return {"exit_status": exit_status, "stdout": stdout, "stderr": stderr}


def completed(stdout: str = "", exit_status: int = 0, stderr: str = "") -> Completed:
    """Return the answer to a program that was run on a host itself."""
    return Completed(("program",), exit_status, stdout.encode(), stderr.encode())


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()
