"""understudy render: everything that a spec becomes, for a person to read."""

from json import dumps
from pathlib import Path

from understudy.cli.console import findings_json, out, print_findings, print_json
from understudy.cli.inputs import read_input
from understudy.design.cluster import with_nodes
from understudy.design.items import (
    Database,
    Directory,
    Endpoint,
    File,
    Item,
    Options,
    Package,
    Schema,
    ServiceUser,
    SharedDirectory,
    SharedFilesystem,
    Sysctl,
    Unit,
)
from understudy.design.make import Design
from understudy.findings import Finding, FindingsError, Place
from understudy.formats import cib, crmsh, pcs
from understudy.secret import Secret
from understudy.spec.load import LoadedSpec

HIDDEN = "********"


def render(spec: Path, /, *, to: Path, json: bool = False) -> int:
    """Write everything that a spec becomes into a folder, for a person to read. Secrets are masked.

    Parameters
    ----------
    spec
        The spec's file.
    to
        The folder; it must be new or empty.
    json
        Print JSON.
    """
    given = read_input(spec, with_secrets=False)
    design = given.design()
    files = rendered(given.loaded, design)
    _demand_empty(to)
    for name, text in files.items():
        path = to / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    if json:
        print_json({"folder": str(to), "files": sorted(files), "findings": findings_json(given.warnings)})
        return 0
    print_findings(given.warnings)
    out.print(f"{len(files)} files written below {to}; nothing else was touched.")
    return 0


def _demand_empty(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FindingsError([Finding("folder-not-empty", place=Place(str(folder)))])


def rendered(loaded: LoadedSpec, design: Design) -> dict[str, str]:
    """Return every file by its name below the folder (pure)."""
    whole = with_nodes(design.cluster, loaded.spec)
    crm, commands = crmsh.render(design.cluster), pcs.render(design.cluster)
    files = {
        "cluster/corosync.conf": design.corosync_conf,
        "cluster/cib.xml": cib.render(whole),
        "cluster/configuration.crm": crm.text,
        "cluster/configuration.pcs.sh": commands.script,
    }
    nodes: dict[str, list[str]] = {}
    for item in design.items:
        match item:
            case File():
                files[f"nodes/{item.node}{item.path}"] = _shown(item.content)
            case Options():
                files[f"nodes/{item.node}{item.path}"] = _option_text(item)
            case Package() | Unit() | Sysctl() | Directory():
                nodes.setdefault(item.node, []).append(_line(item))
            case _:
                pass
    for node, lines in nodes.items():
        files[f"nodes/{node}/state.txt"] = "\n".join(lines) + "\n"
    files["data.txt"] = "".join(f"{_data_line(item)}\n" for item in design.items if _data_line(item))
    endpoints = [item for item in design.items if isinstance(item, Endpoint)]
    files["keystone/endpoints.json"] = dumps([_endpoint(item) for item in endpoints], indent=2) + "\n"
    return files


def _shown(value: str | Secret) -> str:
    return f"{HIDDEN}\n" if isinstance(value, Secret) else value


def _option_text(item: Options) -> str:
    lines = [f"# Only these options of {item.path} are set; every other line of the file stays as it is."]
    group = None
    for option in sorted(item.options, key=lambda one: one.group):
        if option.group != group:
            lines += ["", f"[{option.group}]"]
            group = option.group
        if option.reason:
            lines.append(f"# {option.reason}")
        if option.value is None:
            lines.append(f"# {option.name} is taken out")
        else:
            lines.append(f"{option.name} = {HIDDEN if isinstance(option.value, Secret) else option.value}")
    return "\n".join(lines) + "\n"


def _line(item: Item) -> str:
    match item:
        case Package():
            return f"package    {item.name} is installed"
        case Unit():
            return f"unit       {item.name} is {'enabled' if item.enabled else 'disabled and stopped'}: {item.reason}"
        case Sysctl():
            return f"sysctl     {item.name} = {item.value}: {item.reason}"
        case _:
            return f"directory  {item.subject}: {item.reason}"


def _data_line(item: Item) -> str:
    match item:
        case SharedFilesystem():
            return f"file system  {item.filesystem} on {item.device}, if that is blank"
        case SharedDirectory():
            return f"directory    {item.path}, {item.owner}:{item.group}, mode {item.mode:o}"
        case Database():
            return f"database     {item.name}, owned by the user {item.user}"
        case Schema():
            return "".join(f"schema       {' '.join(command)}" for command in item.commands)
        case ServiceUser():
            return f"user         {item.name}, {item.role} of the project {item.project}"
        case _:
            return ""


def _endpoint(item: Endpoint) -> dict[str, str]:
    return {
        "service": item.service_name,
        "type": item.service_type,
        "interface": item.interface,
        "region": item.access.region,
        "url": item.url,
    }
