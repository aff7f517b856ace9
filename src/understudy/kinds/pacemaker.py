"""Looking at a live cluster and changing its configuration in one atomic step."""

import asyncio
import json
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from lxml import etree

from understudy.design.cluster import UNHEALTHY
from understudy.findings import Finding, FindingsError
from understudy.hosts.model import Completed, Host
from understudy.kinds.model import World

POLL_SECONDS = 0.5
STATUS_SECONDS = 5.0
_VIEW = "cluster view"
# OCF: success, not running, promoted, degraded, degraded and promoted; 193 is an operation under way.
RUNNING = frozenset({"Started", "Promoted", "Master"})
HEALTHY_CODES = frozenset({"0", "7", "8", "190", "191", "193"})


@dataclass(frozen=True)
class ResourceState:
    """One running or failed copy of a resource."""

    resource: str
    node: str
    role: str
    failed: bool
    managed: bool


@dataclass(frozen=True)
class ClusterView:
    """What one node says about the cluster.

    ``silent`` are copies of which the watcher beside them says that they do not serve, as ``SERVICE on NODE``.
    """

    asked: str
    online: tuple[str, ...]
    known: tuple[str, ...]
    unclean: tuple[str, ...]
    standby: tuple[str, ...]
    quorate: bool
    coordinator: str | None
    resources: tuple[ResourceState, ...]
    failures: tuple[str, ...]
    cib: str
    silent: tuple[str, ...] = ()

    def where(self, resource: str) -> str | None:
        """Return the node on which a resource runs, clone instances of it included."""
        return next(iter(self.nodes_of(resource)), None)

    def nodes_of(self, resource: str) -> tuple[str, ...]:
        """Return the nodes on which a resource runs, clone instances of it included."""
        return tuple(
            state.node
            for state in self.resources
            if state.resource.partition(":")[0] == resource and state.role in RUNNING
        )


async def view(world: World, *, fresh: bool = False) -> ClusterView | None:
    """Return the cluster as the first node sees it that is in one; None when no node is."""
    if fresh:
        forget(world)
    return await world.once(_VIEW, lambda: _best_view(world.hosts.values()))


async def _best_view(hosts: Collection[Host]) -> ClusterView | None:
    views = await asyncio.gather(*(_view_of(host) for host in hosts))
    found = [one for one in views if one is not None]
    return min(found, key=lambda one: (not one.quorate, -len(one.online)), default=None)


async def _watched(world: World, asked: str | None) -> ClusterView | None:
    """Return a fresh view by asking one node while it is in a quorate cluster: waiting must not load the others."""
    seen = await _view_of(world.hosts[asked]) if asked else None
    if seen is None or not seen.quorate:
        return await view(world, fresh=True)
    world.note(_VIEW, seen)
    return seen


def forget(world: World) -> None:
    """Drop the kept view, because something has changed."""
    world.notes.pop(_VIEW, None)


async def _view_of(host: Host) -> ClusterView | None:
    status, cib = await asyncio.gather(
        host.run(["crm_mon", "--one-shot", "--inactive", "--output-as=xml"], timeout=20),
        host.run(["cibadmin", "--query"], timeout=20),
    )
    if status.exit_status != 0 or cib.exit_status != 0:
        return None
    return _parse_view(host.name, status.stdout, cib.text)


def _parse_view(asked: str, status: bytes, cib: str) -> ClusterView:
    root = etree.fromstring(status)
    states = etree.fromstring(cib.encode()).findall("status/node_state")
    nodes = root.findall("nodes/node")
    coordinator = root.find("summary/current_dc")
    resources = tuple(_states(root))
    return ClusterView(
        asked=asked,
        online=tuple(node.get("name", "") for node in nodes if node.get("online") == "true"),
        known=tuple(node.get("name", "") for node in nodes),
        unclean=tuple(node.get("name", "") for node in nodes if node.get("unclean") == "true"),
        standby=tuple(node.get("name", "") for node in nodes if node.get("standby") == "true"),
        quorate=coordinator is not None and coordinator.get("with_quorum") == "true",
        coordinator=coordinator.get("name") if coordinator is not None else None,
        resources=resources,
        failures=tuple(_failures(states, root)),
        cib=cib,
        silent=tuple(_silent(states, {(one.resource.partition(":")[0], one.node) for one in resources})),
    )


def _silent(states: Sequence[etree._Element], copies: Collection[tuple[str, str]]) -> Iterator[str]:
    """Yield the copies, resource and node, that the attributes of their nodes call unhealthy."""
    for state in states:
        node = state.get("uname", "")
        for attribute in state.iterfind("transient_attributes//nvpair"):
            name, value = attribute.get("name", ""), attribute.get("value")
            resource = name.removeprefix(UNHEALTHY)
            if name != resource and value == "1" and (resource, node) in copies:
                yield f"{resource} on {node}"


def _states(root: etree._Element) -> list[ResourceState]:
    states = []
    for resource in root.iter("resource"):
        parent = resource.getparent()
        if parent is not None and parent.tag == "node":
            continue
        states += [
            ResourceState(
                resource=resource.get("id", ""),
                node=node.get("name", ""),
                role=resource.get("role", ""),
                failed=resource.get("failed") == "true",
                managed=resource.get("managed") == "true",
            )
            for node in resource.findall("node")
        ]
    return states


def _failures(states: Sequence[etree._Element], status: etree._Element) -> list[str]:
    """Return the operations that ended badly and still count, probes included.

    The status (crm_mon's) lists none whose ``failure-timeout`` is over, which the CIB keeps and no cleanup removes; it
    does not list probes.
    """
    counts = {(one.get("op_key"), one.get("node")) for one in status.iterfind("failures/failure")}
    failures = []
    for state in states:
        for operation in state.iter("lrm_rsc_op"):
            code, key = operation.get("rc-code", "0"), operation.get("operation_key", "")
            if code not in HEALTHY_CODES and (
                key.endswith("_monitor_0") or (key, state.get("uname")) in counts
            ):
                reason = operation.get("exit-reason") or f"exit code {code}"
                failures.append(f"{key} on {state.get('uname')}: {reason}")
    return failures


async def is_idle(host: Host, coordinator: str) -> bool:
    """Return whether a cluster's coordinator has nothing to do now (crmadmin(8))."""
    done = await host.run(["crmadmin", "--status", coordinator], timeout=STATUS_SECONDS)
    return b"S_IDLE" in done.stdout


async def is_at_work(world: World) -> bool:
    """Return whether the cluster is about to do something, such as to start what is not there yet."""
    known = await view(world)
    seen = await _watched(world, known.asked if known else None)
    if seen is None or seen.coordinator is None:
        return False
    return not await is_idle(world.hosts[seen.asked], seen.coordinator)


async def wait_online(world: World, nodes: Collection[str], seconds: float) -> ClusterView:
    """Wait until all nodes are online in one quorate cluster."""
    deadline = time.monotonic() + seconds * world.wait_factor
    while True:
        seen = await view(world, fresh=True)
        if seen is not None and seen.quorate and seen.coordinator and set(nodes) <= set(seen.online):
            return seen
        if time.monotonic() > deadline:
            online = ", ".join(seen.online) if seen else "none"
            values = {"nodes": ", ".join(nodes), "online": online, "seconds": int(seconds)}
            raise FindingsError(
                [Finding("cluster-not-online", values=values, subject="cluster")], exit_status=1
            )
        await asyncio.sleep(POLL_SECONDS)


async def wait_running(
    world: World,
    resources: Collection[str],
    seconds: float,
    everywhere: Mapping[str, Collection[str]] = MappingProxyType({}),
) -> ClusterView:
    """Wait until the resources run, those in ``everywhere`` on all nodes that are online and not in standby.

    Each of these comes with the nodes where it may not run. A failure that Pacemaker gave up on ends the wait at the
    limit.
    """
    deadline = time.monotonic() + seconds * world.wait_factor
    seen = None
    while True:
        seen = await _watched(world, seen.asked if seen else None)
        missing = [name for name in resources if seen is None or not _runs(seen, name, everywhere.get(name))]
        if seen is not None and not missing:
            return seen
        if time.monotonic() > deadline:
            failures = "; ".join(seen.failures) if seen else ""
            values = {
                "resources": ", ".join(missing),
                "seconds": int(seconds),
                "failures": failures or "none reported",
            }
            raise FindingsError(
                [Finding("resources-not-running", values=values, subject="cluster")], exit_status=1
            )
        await asyncio.sleep(POLL_SECONDS)


def _runs(seen: ClusterView, resource: str, forbidden: Collection[str] | None) -> bool:
    found = set(seen.nodes_of(resource))
    if forbidden is None:
        return bool(found)
    return set(seen.online) - set(seen.standby) - set(forbidden) <= found


async def simulate(host: Host, cib: str, more: Sequence[str] = ()) -> list[dict[str, str]]:
    """Return what Pacemaker's scheduler would do with this configuration and state: its own actions."""
    argv = ["crm_simulate", "--xml-pipe", "--simulate", "--output-as=xml", *more]
    done = await host.run(argv, stdin=cib.encode(), timeout=60)
    if not done.stdout.strip():
        raise _failed("simulation-failed", done)
    root = etree.fromstring(done.stdout)
    return [
        {str(key): str(value) for key, value in action.attrib.items()} for action in root.findall("actions/*")
    ]


async def verify(host: Host, cib: str) -> list[str]:
    """Return what ``crm_verify`` has against a configuration; nothing when it is valid."""
    done = await host.run(["crm_verify", "--xml-pipe", "-V"], stdin=cib.encode(), timeout=30)
    if done.exit_status == 0:
        return []
    return [line for line in done.stderr.decode(errors="replace").splitlines() if line.strip()]


async def replace_configuration(host: Host, before: str, after: str) -> None:
    """Put a new configuration in place of the one that was observed, as one patch bound to its version.

    Raises FindingsError ``changed-meanwhile`` when the configuration is not the observed one any more.
    """
    request = json.dumps({"before": before, "after": after})
    done = await host.run(
        ["/usr/bin/python3", "-IS", "-c", _PATCH_SCRIPT], stdin=request.encode(), timeout=60
    )
    if done.exit_status == 3:
        values = {"path": "the configuration", "node": "the cluster"}
        raise FindingsError([Finding("changed-meanwhile", values=values, subject="cluster")], exit_status=1)
    if done.exit_status != 0:
        raise _failed("cluster-refused-change", done)


def _failed(code: str, done: Completed) -> FindingsError:
    reason = (
        done.stderr.decode(errors="replace").strip() or done.text.strip() or f"exit status {done.exit_status}"
    )
    return FindingsError([Finding(code, values={"reason": reason}, subject=done.argv[0])], exit_status=1)


# The status section changes all the time and moves the version of the CIB on, so the node itself takes the newest
# CIB, checks that its configuration is the observed one, and sends a patch that Pacemaker takes only at that version.
_PATCH_SCRIPT = r"""
import json, os, re, subprocess, sys, tempfile, time
request = json.load(sys.stdin)
section = re.compile(r"<configuration>.*</configuration>|<configuration/>", re.S)
def configuration(text):
    found = section.search(text)
    return found.group(0) if found else ""
def run(*argv):
    return subprocess.run(argv, capture_output=True, text=True, timeout=30)
problem = ""
for attempt in range(20):
    live = run("cibadmin", "--query")
    if live.returncode:
        sys.exit(live.stderr or "the cluster does not answer")
    if configuration(live.stdout) != configuration(request["before"]):
        sys.exit(3)
    new = section.sub(lambda found: configuration(request["after"]), live.stdout, count=1)
    new = re.sub(r' epoch="(\d+)"', lambda found: ' epoch="%d"' % (int(found.group(1)) + 1), new, count=1)
    new = re.sub(r' num_updates="\d+"', ' num_updates="0"', new, count=1)
    with tempfile.TemporaryDirectory() as folder:
        names = [os.path.join(folder, name) for name in ("before.xml", "after.xml", "patch.xml")]
        for name, text in zip(names, (live.stdout, new)):
            with open(name, "w") as stream:
                stream.write(text)
        patch = run("crm_diff", "--original", names[0], "--new", names[1])
        if not patch.stdout.strip():
            sys.exit(patch.stderr or "crm_diff printed no difference")
        with open(names[2], "w") as stream:
            stream.write(patch.stdout)
        done = run("cibadmin", "--patch", "--xml-file", names[2])
    if done.returncode == 0:
        sys.exit(0)
    problem = done.stderr
    time.sleep(0.1)
sys.exit(problem or "the patch was refused")
"""
