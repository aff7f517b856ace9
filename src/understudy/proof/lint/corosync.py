"""Checks of corosync.conf beside a cluster configuration (corosync.conf(5), votequorum(5))."""

import re
from collections.abc import Iterator

from understudy.findings.model import Finding
from understudy.proof.bounds import Timing
from understudy.proof.quorum import Quorum

TOKEN, COEFFICIENT = 3000, 650
LONGEST_TOKEN = 30_000


def read_corosync(text: str) -> dict[str, list[str]]:
    """Return every option as ``section.option`` → values, in the order written; what is no option is passed over."""
    found: dict[str, list[str]] = {}
    sections: list[str] = []
    for raw in text.splitlines():
        line = raw.strip()
        if opened := re.fullmatch(r"(\w+)\s*\{", line):
            sections.append(opened[1])
            found.setdefault(".".join(sections), []).append("")
        elif line == "}" and sections:
            sections.pop()
        elif not line.startswith("#") and (pair := re.fullmatch(r"([\w.]+)\s*:\s*(.*)", line)):
            found.setdefault(".".join([*sections, pair[1]]), []).append(pair[2].strip())
    return found


def _number(options: dict[str, list[str]], name: str, default: int) -> int:
    value = options.get(name, [""])[-1]
    return int(value) if re.fullmatch(r"\d{1,9}", value) else default


def corosync_timing(text: str) -> Timing:
    """Return the membership timeouts of a corosync.conf."""
    options = read_corosync(text)
    return Timing(
        _number(options, "totem.token", TOKEN),
        _number(options, "totem.token_coefficient", COEFFICIENT),
        _number(options, "totem.consensus", 0),
    )


def corosync_quorum(text: str) -> Quorum:
    """Return how a corosync.conf has votes counted."""
    options = read_corosync(text)
    votes: dict[str, int] = {}
    ranks: dict[str, int] = {}
    for block in re.findall(r"^\s*node\s*\{([^{}]*)\}", text, re.MULTILINE):
        node = dict(re.findall(r"^\s*(\w+)\s*:\s*(\S+)\s*$", block, re.MULTILINE))
        name = node.get("name") or node.get("ring0_addr", "")
        ranks[name] = int(node["nodeid"]) if node.get("nodeid", "").isdigit() else len(ranks) + 1
        if node.get("quorum_votes", "").isdigit():
            votes[name] = int(node["quorum_votes"])
    device, breaker = 0, "quorum.auto_tie_breaker_node"
    if "quorum.device" in options:
        algorithm = options.get("quorum.device.net.algorithm", ["ffsplit"])[-1]
        breaker = "quorum.device.net.tie_breaker"
        device = max(len(ranks) - 1, 1) if algorithm == "lms" else _number(options, "quorum.device.votes", 1)
    two_node = options.get("quorum.two_node", ["0"])[-1] == "1"
    automatic = options.get("quorum.auto_tie_breaker", ["0"])[-1] == "1"
    return Quorum(votes, ranks, device, two_node, automatic, options.get(breaker, ["lowest"])[-1])


def corosync(text: str, nodes: int) -> Iterator[Finding]:
    """Membership and quorum settings fit a cluster of so many nodes."""
    options = read_corosync(text)
    listed = len(options.get("nodelist.node", ()))
    if listed and nodes and listed != nodes:
        yield Finding("corosync-other-nodes", values={"listed": listed, "nodes": nodes}, subject="nodelist")
    members = listed or nodes
    two_node = options.get("quorum.two_node", ["0"])[-1] == "1"
    if two_node and members != 2:
        yield Finding("two-node-with-others", values={"nodes": members}, subject="quorum.two_node")
    if members == 2 and not two_node and "quorum.device" not in options:
        yield Finding("two-node-missing", "warning", subject="quorum.two_node")
    if two_node and options.get("quorum.wait_for_all", ["1"])[-1] == "0":
        yield Finding("wait-for-all-off", subject="quorum.wait_for_all")
    if options.get("quorum.provider", [""])[-1] != "corosync_votequorum":
        yield Finding("quorum-provider-missing", subject="quorum.provider")
    votes = _number(options, "quorum.expected_votes", members)
    if votes != members and "quorum.device" not in options:
        yield Finding("expected-votes-wrong", values={"votes": votes, "nodes": members}, subject="quorum")
    yield from _network(options, corosync_timing(text), members)


def _network(options: dict[str, list[str]], timing: Timing, members: int) -> Iterator[Finding]:
    token = timing.token + max(members - 2, 0) * timing.token_coefficient
    if members > 2 and timing.consensus and timing.consensus < token * 1.2:
        values = {"consensus": timing.consensus, "least": round(token * 1.2)}
        yield Finding("consensus-too-short", "warning", values, subject="totem.consensus")
    if timing.token > LONGEST_TOKEN:
        yield Finding("token-too-long", "warning", {"token": timing.token}, subject="totem.token")
    if members and not options.get("nodelist.node.ring1_addr") and "nodelist.node.ring0_addr" in options:
        yield Finding("one-link-only", "note", subject="nodelist")
    cipher = options.get("totem.crypto_cipher", ["none"])[-1]
    if cipher == "none" and options.get("totem.secauth", ["off"])[-1] != "on":
        yield Finding("corosync-in-clear", "warning", subject="totem.crypto_cipher")
