"""The generated pages of the reference, made from the models: ``tools/reference.py`` writes them below docs/reference.

With ``--check`` nothing is written; the exit status is 1 when a page is not what it would be.
"""

import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from cyclopts import App
from ruamel.yaml import YAML

from understudy.agents.understudy_agent.parameters import described
from understudy.agents.understudy_agent.service import Service
from understudy.catalog.load import load_catalog
from understudy.catalog.model import ServiceEntry
from understudy.catalog.releases import release_range, releases
from understudy.cli.main import app
from understudy.spec.schema import json_schema

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "reference"
GENERATED = "<!-- Made by tools/reference.py; change the models instead. -->"
FORMATS = {
    "ipv4": "IPv4 address",
    "ipv6": "IPv6 address",
    "ipv4network": "IPv4 prefix",
    "ipv6network": "IPv6 prefix",
}
DOMAINS = {
    "spec": "The spec",
    "options": "Options of a service's configuration",
    "design": "What the catalog and the release allow",
    "consistency": "Layers that disagree",
    "formats": "Languages that are read and written",
    "hosts": "Reaching nodes and working on them",
    "tls": "TLS",
    "plan": "Plans and applies",
    "cluster": "The cluster",
    "proof": "The proof",
    "drill": "Drills",
    "lab": "The lab",
    "networking": "The network nodes",
}
OPENSTACK = "ocf:openstack:"
VAR_POSITIONAL = inspect.Parameter.VAR_POSITIONAL

Schema = Mapping[str, Any]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Give the lines of a Markdown table."""
    yield ""
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |"
    yield ""


def prose(text: str) -> str:
    """Return a docstring's text as Markdown."""
    return re.sub(r"\s+", " ", text.replace("``", "`")).strip()


# The spec.


def spec_page() -> Iterator[str]:
    """Give every key of the spec, from its JSON Schema."""
    schema = json_schema()
    definitions: Schema = schema["$defs"]  # type: ignore[assignment]
    yield "# The spec"
    yield ""
    yield "One YAML file. Unknown keys are errors. `understudy schema --to FILE` writes the JSON Schema, with which"
    yield "an editor completes keys and checks values."
    yield from _keys("The file", schema, definitions)
    for name, definition in definitions.items():
        yield from _keys(name, definition, definitions)


def _keys(name: str, schema: Schema, definitions: Schema) -> Iterator[str]:
    yield ""
    yield f"## {name}"
    yield ""
    yield prose(schema.get("description", ""))
    required = schema.get("required", ())
    rows = [
        [
            f"`{key}`",
            type_words(value),
            _default(value, needed=key in required),
            _meaning(value, definitions),
        ]
        for key, value in schema.get("properties", {}).items()
    ]
    more = schema.get("additionalProperties")
    if isinstance(more, dict):
        rows.append(["any other name", type_words(more), "", "The secret of that name."])
    yield from table(["key", "value", "default", "meaning"], rows)


def _meaning(schema: Schema, definitions: Schema) -> str:
    """Return what a key means; where only the class that it holds is described, that."""
    own = schema.get("description")
    named = str(schema.get("$ref", "")).rpartition("/")[2]
    return prose(own or definitions.get(named, {}).get("description", ""))


def _default(schema: Schema, *, needed: bool) -> str:
    if needed:
        return "needed"
    default = schema.get("default")
    if default is None or default == {}:
        return "none"
    if isinstance(default, dict):
        return "its own"
    if isinstance(default, list):
        return f"`[{', '.join(map(str, default))}]`"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def type_words(schema: Schema) -> str:
    """Return in words what a value of a JSON Schema is."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        words = [type_words(one) for one in schema["anyOf"] if one.get("type") != "null"]
        return " or ".join(dict.fromkeys(words))
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{one}`" for one in schema["enum"])
    return _plain_words(schema)


def _plain_words(schema: Schema) -> str:
    kind = schema.get("type", "any")
    if kind == "object":
        more = schema.get("additionalProperties") or next(
            iter(schema.get("patternProperties", {}).values()), None
        )
        return f"names, each with {type_words(more)}" if isinstance(more, dict) else "names"
    if kind == "array":
        return f"list of {type_words(schema['items'])}" if "items" in schema else "list"
    if kind == "string":
        return FORMATS.get(schema.get("format", ""), "text")
    if "minimum" in schema and "maximum" in schema:
        return f"number, {schema['minimum']} to {schema['maximum']}"
    return {"boolean": "`true`, `false`", "integer": "number"}.get(kind, str(kind))


# Findings.


def findings() -> Mapping[str, Mapping[str, Mapping[str, str]]]:
    """Return the prose of all findings: domain, code, ``message`` and ``advice``."""
    folder = resources.files("understudy.findings.messages")
    sources = {
        source.name.removesuffix(".yaml"): source
        for source in folder.iterdir()
        if source.name.endswith(".yaml")
    }
    ordered = [*(name for name in DOMAINS if name in sources), *sorted(set(sources) - set(DOMAINS))]
    return {name: YAML(typ="safe").load(sources[name].read_text(encoding="utf-8")) for name in ordered}


def findings_page() -> Iterator[str]:
    """Give every code with its message and advice."""
    yield "# Findings"
    yield ""
    yield "Whatever is wrong is said as a finding: a code, a place, a sentence, and what to do. Words in braces are"
    yield "filled in. With `--json` each finding is an object with `code`, `severity`, `file`, `line`, `column`,"
    yield "`subject`, `message`, `advice` and `values`."
    for domain, entries in findings().items():
        yield ""
        yield f"## {DOMAINS.get(domain, domain.capitalize())}"
        for code, entry in entries.items():
            yield ""
            yield f"### {code}"
            yield ""
            yield _template(entry["message"])
            advice = entry.get("advice")
            if advice:
                yield ""
                yield f"What to do: {_template(advice)}"
    yield ""


def _template(text: str) -> str:
    """Return a message with its fields as they stand, readable as Markdown and not as HTML."""
    return prose(text.replace("{{", "{").replace("}}", "}")).replace("<", "&lt;").replace(">", "&gt;")


# The catalog.


def catalog_page() -> Iterator[str]:
    """Give every service that a spec may name, then those for which there is only an agent."""
    entries = load_catalog().services
    yield "# Services of the catalog"
    yield ""
    yield f"Releases known: {', '.join(f'`{one.name}`' for one in releases())}."
    for entry in entries.values():
        yield from _service(entry)
    rest = [name for name in agents() if name not in entries]
    if rest:
        yield "## Agents only"
        yield ""
        yield "There are [resource agents](agents.md) for these, and no entry yet that a spec could name:"
        yield f"{', '.join(f'`{name}`' for name in rest)}."
        yield ""


def _service(entry: ServiceEntry) -> Iterator[str]:
    yield ""
    yield f"## {entry.name}"
    yield ""
    yield f"{entry.title}. Releases: {release_range(entry.releases)}."
    operations = [
        f"{one.name} {f'every {one.interval} s, ' if one.interval else ''}timeout {one.timeout} s"
        for one in entry.resource.operations
    ]
    facts = [
        ("stands by", ", ".join(f"`{one}`" for one in entry.standby)),
        ("may run twice", "no; it waits for fencing" if entry.once else "yes"),
        ("needs", ", ".join(entry.needs)),
        ("provides", entry.provides or ""),
        ("port", str(entry.port or "")),
        ("shared storage", entry.storage),
        ("while it is away, clients miss", entry.clients_miss),
        ("agent", f"`{entry.resource.agent}`"),
        ("operations", "; ".join(operations)),
        ("unit that Pacemaker takes over", ", ".join(dict.fromkeys(f"`{one.name}`" for one in entry.units))),
        ("packages", ", ".join(dict.fromkeys(f"`{one.name}`" for one in entry.packages))),
        ("files", ", ".join(dict.fromkeys(f"`{one.path}`" for one in entry.files))),
    ]
    yield from table(["fact", "value"], [list(fact) for fact in facts if fact[1]])
    for file in entry.files:
        rows = [
            [
                f"`{one.group}`",
                f"`{one.name}`",
                f"`{one.value}`" if one.value else "taken out",
                one.releases,
                one.reason,
            ]
            for one in file.options
        ]
        yield f"Options set in `{file.path}` (releases `{file.releases}`):"
        yield from table(["group", "option", "value", "releases", "why"], rows)


# Agents.


def agents() -> Mapping[str, Mapping[str, Any]]:
    """Return the agent's data of every service that has one."""
    folder = resources.files("understudy.catalog") / "services"
    found = {}
    for source in sorted(folder.iterdir(), key=lambda item: item.name):
        if source.name.endswith(".yaml"):
            data = YAML(typ="safe").load(source.read_text(encoding="utf-8"))
            if data.get("agent"):
                found[source.name.removesuffix(".yaml")] = data["agent"]
    return found


def agents_page() -> Iterator[str]:
    """Give every agent of the provider ``openstack`` with its parameters."""
    yield "# Resource agents"
    yield ""
    yield "Agents of the provider `openstack`, for Pacemaker: `ocf:openstack:NAME`. They need `/usr/bin/python3` and"
    yield "nothing else. No parameter is required. They run in any Pacemaker cluster, with or without the rest of"
    yield "understudy. Parameters of the agents published earlier are taken, so primitives written for those work."
    yield ""
    yield "What a monitor tells apart:"
    yield from table(
        ["state", "exit code", "what Pacemaker does"],
        [
            ["dead: no process", "7, not running", "starts it again, here or elsewhere"],
            ["alive but not serving", "1, error", "stops and starts it"],
            [
                "serving, but something it depends on is gone",
                "0, success",
                "nothing; a restart would not help",
            ],
            ["serving", "0, success", "nothing"],
        ],
    )
    yield "A monitor with `OCF_CHECK_LEVEL` 10 asks the API with a token, with the service's own credentials."
    for name, data in agents().items():
        yield from _agent(name, Service(name, data, {}))


def _agent(name: str, service: Service) -> Iterator[str]:
    yield ""
    yield f"## {name}"
    yield ""
    yield prose(str(service.data["description"]))
    aliases = service.data.get("aliases", ())
    if aliases:
        yield ""
        yield f"Also installed as {', '.join(f'`{OPENSTACK}{one}`' for one in aliases)}."
    rows = []
    for parameter, (kind, text) in described(service).items():
        default = service.default(parameter)
        rows.append([f"`{parameter}`", kind, f"`{default}`" if default else "", prose(text)])
    yield from table(["parameter", "type", "default", "meaning"], rows)


# Commands.


def commands(within: App = app, prefix: str = "understudy") -> Iterator[tuple[str, App]]:
    """Give every command with its full name, in the order in which help shows them."""
    for name in within:
        if name.startswith("-"):
            continue
        command = within[name]
        if command.default_command:
            yield f"{prefix} {name}", command
        yield from commands(command, f"{prefix} {name}")


def commands_page() -> Iterator[str]:
    """Give every command with its arguments, and the exit statuses."""
    yield "# Commands"
    yield ""
    yield "`understudy --help` and `understudy COMMAND --help` show the same. Findings and progress go to standard"
    yield "error, results to standard output. With `--json` the result is one JSON document."
    yield ""
    yield "## Exit statuses"
    yield from table(
        ["status", "meaning"],
        [
            ["0", "done"],
            ["1", "it failed, or what was looked at is not as it should be"],
            ["2", "the input is wrong; nothing was touched"],
            ["3", "a change is pending (`understudy plan --exit-code` only)"],
            ["130", "interrupted with Ctrl-C"],
            ["143", "ended by SIGTERM"],
        ],
    )
    yield "`understudy lab shell SPEC NODE COMMAND` exits with the status of the command."
    for name, command in commands():
        yield from _command(name, command)


def _command(name: str, command: App) -> Iterator[str]:
    function = command.default_command
    text, explained = parts_of_docstring(function)
    arguments = command.assemble_argument_collection()
    usage = [name]
    rows = []
    for argument in arguments:
        positional = not argument.name.startswith("-")
        label = argument.name if positional else " ".join(_flags(argument.names))
        required = argument.required
        usage += _in_usage(argument.name, required=required, rest=argument.field_info.kind == VAR_POSITIONAL)
        help_text = argument.parameter.help or explained.get(argument.field_info.name, "")
        default = argument.field_info.default
        shown = (
            "needed"
            if required
            else ""
            if default in {None, False, inspect.Parameter.empty}
            else f"`{default}`"
        )
        rows.append([f"`{label}`", "yes" if shown == "`True`" else shown, prose(help_text)])
    yield ""
    yield f"## {name.removeprefix('understudy ')}"
    yield ""
    yield f"`{' '.join(usage)}`"
    yield ""
    yield prose(text)
    yield from table(["argument", "default", "meaning"], rows) if rows else ()


def _in_usage(name: str, *, required: bool, rest: bool) -> list[str]:
    """Return how an argument appears in a command's usage: options only when they must be given."""
    if name.startswith("-"):
        return [f"{name} {name.removeprefix('--').upper()}"] if required else []
    return [name if required else f"[{name} …]" if rest else f"[{name}]"]


def _flags(names: Sequence[str]) -> list[str]:
    """Return the names of an option; the negative of a switch that is off by itself says nothing."""
    return [name for name in names if not name.startswith("--no-")] or list(names)


def parts_of_docstring(function: Callable[..., object] | None) -> tuple[str, dict[str, str]]:
    """Return the text of a command's docstring and what it says about each parameter."""
    text, _, parameters = (inspect.getdoc(function) or "").partition("Parameters\n----------\n")
    explained: dict[str, str] = {}
    name = ""
    for line in parameters.splitlines():
        if line and not line.startswith(" "):
            name = re.split(r"[\s:]", line)[0]
        elif name:
            explained[name] = f"{explained.get(name, '')} {line.strip()}".strip()
    return text, explained


PAGES: Mapping[str, Callable[[], Iterator[str]]] = {
    "spec.md": spec_page,
    "findings.md": findings_page,
    "catalog.md": catalog_page,
    "commands.md": commands_page,
    "agents.md": agents_page,
}


def rendered() -> dict[str, str]:
    """Return every generated page by its file name."""
    pages = {}
    for name, page in PAGES.items():
        lines = [line.rstrip() for line in page()]
        text = "\n".join([*lines[:1], "", GENERATED, *lines[1:]])
        pages[name] = re.sub(r"\n{3,}", "\n\n", text).rstrip() + "\n"
    return pages


def outdated() -> list[str]:
    """Return the names of the pages that are not what they would be."""
    return [
        name
        for name, text in rendered().items()
        if not (FOLDER / name).is_file() or (FOLDER / name).read_text(encoding="utf-8") != text
    ]


def main(arguments: Sequence[str]) -> int:
    """Write the pages, or with ``--check`` say which are out of date."""
    stale = outdated()
    if "--check" in arguments:
        for name in stale:
            print(f"docs/reference/{name} is out of date; run tools/reference.py")
        return 1 if stale else 0
    pages = rendered()
    for name in stale:
        (FOLDER / name).write_text(pages[name], encoding="utf-8")
        print(f"docs/reference/{name} written")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
