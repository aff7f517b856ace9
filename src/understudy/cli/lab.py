"""understudy lab: the nodes of a spec on this machine."""

import os
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from rich.table import Table

from understudy.cli.console import FAILED, out, print_json
from understudy.cli.inputs import Input, read_input
from understudy.cli.progress import steps
from understudy.cli.reach import lab_of
from understudy.cli.tenant import tenant_of
from understudy.findings import Finding, FindingsError
from understudy.lab.client import Lab, LabError
from understudy.lab.from_spec import recipe_of, topology_of
from understudy.lab.image import ensure_image
from understudy.lab.lifecycle import Materials, bring_up, take_down
from understudy.lab.preflight import host_problems
from understudy.spec.load import load_spec

app = App(
    name="lab",
    help="The nodes of a spec on this machine, with its networks, fencing devices and shared disks.",
)
SpecFile = Annotated[Path, Parameter(help="The spec's file.")]


@app.command
def up(spec: SpecFile, /, *, json: bool = False) -> int:
    """Build the image if there is none in the cache, and boot all nodes; what is up already is left as it is.

    Parameters
    ----------
    json
        Print JSON.
    """
    lab, fresh = bring_up_lab(read_input(spec))
    if json:
        print_json({"up": True, "name": lab.name, "fresh": fresh, "nodes": list(lab.topology.nodes)})
        return 0
    out.print(f"Lab {lab.name} {'is up' if fresh else 'was up already'}: {', '.join(lab.topology.nodes)}.")
    out.print(f"  next: understudy apply {spec}\n  down: understudy lab down {spec}")
    return 0


def bring_up_lab(given: Input) -> tuple[Lab, bool]:
    """Bring up the lab of a spec, showing progress; return it and whether it was brought up just now."""
    recipe = recipe_of(given.loaded, given.release)
    problems = host_problems()
    if problems:
        raise FindingsError(problems, exit_status=FAILED)
    topology = topology_of(given.loaded.spec)
    password = given.secrets["fencing"].reveal() if "fencing" in given.secrets else ""
    with steps("Lab") as progress:
        image = ensure_image(recipe, lambda phase, share: progress(f"image, {share:.0%}: {phase}"))
        materials = Materials(image, dict.fromkeys(topology.nodes, password))
        return bring_up(topology, materials, lambda phase, share: progress(f"nodes, {share:.0%}: {phase}"))


@app.command
def down(spec: SpecFile, /, *, json: bool = False) -> int:
    """End all nodes and remove everything of the lab but the cached image.

    Parameters
    ----------
    json
        Print JSON.
    """
    _need_root()
    name = load_spec(spec).spec.cloud
    was_there = take_down(name)
    words = f"Lab {name} is down." if was_there else f"There was no lab {name}."
    return _told(words, {"up": False, "name": name, "was_there": was_there}, json=json)


@app.command
def status(spec: SpecFile, /, *, json: bool = False) -> int:
    """Show which nodes are on.

    Parameters
    ----------
    json
        Print JSON.
    """
    _need_root()
    lab = lab_of(load_spec(spec))
    if lab is None:
        if json:
            print_json({"up": False, "nodes": {}})
        else:
            out.print("The lab is down.")
        return 0
    state = lab.status()
    if json:
        nodes = {
            name: {"power": node.power, "booted": node.booted, "frozen": node.frozen, "pid": node.pid}
            for name, node in state.nodes.items()
        }
        print_json({"up": True, "name": lab.name, "nodes": nodes})
        return 0
    table = Table("node", "power", "booted in", "shared disks mounted", box=None, pad_edge=False)
    for name, node in state.nodes.items():
        booted = f"{node.boot_seconds:.1f} s" if node.boot_seconds is not None else "-"
        mounts = ", ".join(path for paths in node.mounts.values() for path in paths) or "-"
        table.add_row(name, "frozen" if node.frozen else node.power, booted, mounts)
    out.print(table)
    return 0


@app.command
def shell(
    spec: SpecFile, node: str, /, *command: Annotated[str, Parameter(allow_leading_hyphen=True)]
) -> int:
    """Open a shell on a node, or run a command there.

    Parameters
    ----------
    node
        The node's name; ``client`` for the clients' network, ``tenant`` for a tenant's machine.
    command
        A command and its arguments instead of a shell.
    """
    _need_root()
    lab = _running(spec)
    shell_argv = ["/bin/bash", "-l"] if node in lab.topology.nodes else ["/bin/bash"]
    argv = lab.argv_in(node, list(command) or shell_argv)
    return subprocess.run(argv, check=False).returncode


@app.command
def tenant(spec: SpecFile, /, *, json: bool = False) -> int:
    """Give the cloud a tenant: a network with a router, and a machine in it with an address that the outside reaches.

    What is there already is left as it is. Drills of the spec watch from then on what the tenant's machine sees.

    Parameters
    ----------
    json
        Print JSON.
    """
    from keystoneauth1.exceptions import ClientException  # noqa: PLC0415 - costs a third of a second

    _need_root()
    given, lab = read_input(spec), _running(spec)
    try:
        with steps("Tenant") as progress:
            has = tenant_of(given, lab).furnish(progress)
    except (LabError, TimeoutError, ClientException) as error:
        raise FindingsError(
            [Finding("lab-tenant-failed", values={"reason": error})], exit_status=FAILED
        ) from error
    words = f"A tenant's machine is at {has.address}, and for the outside ({has.outside}) at {has.floating}."
    return _told(f"{words}\n  shell: understudy lab shell {spec} tenant", asdict(has), json=json)


@app.command
def crash(spec: SpecFile, node: str, /, *, json: bool = False) -> int:
    """Cut a node's power: its disk survives, its memory does not.

    Parameters
    ----------
    node
        The node's name.
    json
        Print JSON.
    """
    _need_root()
    _order(_running(spec).crash, node)
    return _told(f"{node} has lost power.", {"node": node, "power": "off"}, json=json)


@app.command
def boot(spec: SpecFile, node: str, /, *, json: bool = False) -> int:
    """Switch a node on.

    Parameters
    ----------
    node
        The node's name.
    json
        Print JSON.
    """
    _need_root()
    _order(_running(spec).boot, node)
    return _told(f"{node} is up.", {"node": node, "power": "on"}, json=json)


def _told(words: str, document: dict[str, object], *, json: bool) -> int:
    if json:
        print_json(document)
    else:
        out.print(words)
    return 0


def _order(order: object, node: str) -> None:
    try:
        order(node)  # type: ignore[operator]
    except LabError as error:
        raise FindingsError(
            [Finding("lab-refused", values={"reason": error}, subject=node)], exit_status=1
        ) from error


def _running(spec: Path) -> Lab:
    lab = lab_of(load_spec(spec))
    if lab is None:
        raise FindingsError([Finding("lab-down", values={"spec": spec})], exit_status=1)
    return lab


def _need_root() -> None:
    if os.geteuid() != 0:
        raise FindingsError([Finding("lab-not-root")], exit_status=FAILED)
