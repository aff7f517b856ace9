"""What ``pcs config`` prints, read back: the listing of pcs 0.9 to 0.12, by indentation.

What has no place in the model, such as a rule, is a note ``pcs-not-held`` with its line; a listing without a resource
or node is an error. ``pcs cluster cib`` gives everything, and is the better input where it can be had.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import get_args

from understudy.findings import Finding, Place
from understudy.formats.cluster import (
    INFINITY,
    Action,
    Clone,
    ClusterConfiguration,
    Colocation,
    Constraint,
    Group,
    Location,
    Node,
    Operation,
    Order,
    OrderKind,
    Primitive,
    Resource,
    parse_score,
    parse_seconds,
)

_RESOURCE = re.compile(r"(Resource|Group|Clone|Master|Bundle): (\S+)(?: \((.*)\))?$")
_NAMED = r"(?:(?!resource )(\w+) )?(?:resource )?'?([^'\s]+)'?"
_ORDER = re.compile(rf"{_NAMED} then {_NAMED}(?: (\(.*))?$")
_COLOCATION = re.compile(rf"{_NAMED} with {_NAMED}(?: (\(.*))?$")
_PREFERENCE = re.compile(r"resource '([^']+)' (prefers|avoids) node '([^']+)' with score (\S+)")
_OLD_PREFERENCE = re.compile(r"(?:Node: )?([^\s:]+) \(score:\s*(\S+?)\)")


@dataclass
class _Line:
    text: str
    number: int
    indent: int
    children: list["_Line"] = field(default_factory=list)


def _tree(text: str) -> list[_Line]:
    root = _Line("", 0, -1)
    path = [root]
    for number, raw in enumerate(text.splitlines(), 1):
        if not raw.strip():
            continue
        line = _Line(raw.strip(), number, len(raw) - len(raw.lstrip()))
        while path[-1].indent >= line.indent:
            path.pop()
        path[-1].children.append(line)
        path.append(line)
    return root.children


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def _pairs(text: str) -> dict[str, str]:
    return dict(word.split("=", 1) for word in _words(text) if "=" in word)


def _within(line: _Line) -> dict[str, str]:
    """Return the name-value pairs behind a heading and below it, ``name=value`` or ``name: value``."""
    found = _pairs(line.text.partition(":")[2])
    for child in line.children:
        if re.fullmatch(r"[\w.-]+: \S.*", child.text) and "=" not in child.text.partition(":")[0]:
            name, _, value = child.text.partition(":")
            if not child.children:
                found[name] = value.strip()
        else:
            found |= _pairs(child.text)
        found |= _within(child) if child.children else {}
    return found


class _Reader:
    def __init__(self, file: str) -> None:
        self.file = file
        self.findings: list[Finding] = []
        self.nodes: list[str] = []
        self.resources: list[Resource] = []
        self.constraints: list[Constraint] = []
        self.settings: dict[str, dict[str, str]] = {"properties": {}, "resources": {}, "operations": {}}

    def read(self, lines: list[_Line]) -> None:
        for line in lines:
            title = line.text.partition(":")[0].lower()
            if title in ("corosync nodes", "pacemaker nodes"):
                names = [name for part in (line, *line.children) for name in part.text.split(":")[-1].split()]
                self.nodes += [name for name in names if name not in self.nodes]
            elif title in ("resources", "stonith devices", "fencing devices"):
                self.resources += [made for child in line.children for made in self._resource(child)]
            elif title in ("location constraints", "ordering constraints", "order constraints"):
                for child in line.children:
                    self.constraints += self._location(child) if title[0] == "l" else self._order(child)
            elif title == "colocation constraints":
                self.constraints += [made for child in line.children for made in self._colocation(child)]
            elif title in ("cluster properties", "resources defaults", "operations defaults"):
                key = {"c": "properties", "r": "resources", "o": "operations"}[title[0]]
                self.settings[key] |= _within(line)
            elif not re.match(r"(cluster name|alerts|quorum|ticket constraints|fencing levels|tags)", title):
                self._not_held(line)

    def _not_held(self, line: _Line) -> None:
        place = Place(self.file, line.number, line.indent + 1)
        self.findings.append(Finding("pcs-not-held", "note", {"what": line.text[:60]}, place=place))

    def _resource(self, line: _Line) -> Iterator[Resource]:
        match = _RESOURCE.match(line.text)
        if match is None or match[1] == "Bundle":
            if not line.text.lower().startswith(("no ", "(no")):
                self._not_held(line)
            return
        kind, name, described = match[1], match[2], match[3] or ""
        parts, operations, inside = self._parts(line)
        meta = parts["meta"]
        if kind == "Resource":
            agent = _pairs(described)
            prefix = (
                ("stonith",)
                if agent.get("class") == "stonith"
                else (agent.get("class"), agent.get("provider"))
            )
            yield Primitive(
                id=name,
                agent=":".join(word for word in (*prefix, agent.get("type")) if word),
                parameters=parts["attributes"],
                meta=meta,
                operations=operations,
                utilization=parts["utilization"],
            )
        elif kind == "Group":
            members = tuple(item for item in inside if isinstance(item, Primitive))
            if members:
                yield Group(id=name, primitives=members, meta=meta)
        elif inside and not isinstance(inside[0], Clone):
            promotable = kind == "Master" or meta.pop("promotable", "").lower() in ("true", "1", "yes", "on")
            yield Clone(id=name, resource=inside[0], promotable=promotable, meta=meta)

    def _parts(
        self, line: _Line
    ) -> tuple[dict[str, dict[str, str]], tuple[Operation, ...], tuple[Resource, ...]]:
        """Return what stands below a resource: its blocks of values, its operations, and resources inside of it."""
        parts: dict[str, dict[str, str]] = {"attributes": {}, "meta": {}, "utilization": {}}
        operations: list[Operation] = []
        inside: list[Resource] = []
        for child in line.children:
            title = child.text.partition(":")[0].lower()
            title = "meta" if title.startswith("meta att") else title
            if _RESOURCE.match(child.text):
                inside += self._resource(child)
            elif title == "operations":
                operations += self._operations(child)
            elif title in parts:
                parts[title] |= _within(child)
            else:
                self._not_held(child)
        return parts, tuple(operations), tuple(inside)

    def _operations(self, line: _Line) -> Iterator[Operation]:
        first = _Line(line.text.partition(":")[2].strip(), line.number, line.indent)
        for item in ([first] if first.text else []) + line.children:
            words = _words(re.sub(r"\([^()]*\)$", "", item.text))
            if not words:
                continue
            values = _pairs(item.text) | _within(_Line("", item.number, item.indent, item.children))
            name = words[0].rstrip(":")
            try:
                timeout = parse_seconds(values["timeout"]) if "timeout" in values else None
                interval = parse_seconds(values.get("interval", "0s"))
            except ValueError:
                self._not_held(item)
                continue
            yield Operation(name=name, interval=interval, timeout=timeout, on_fail=values.get("on-fail"))  # type: ignore[arg-type]

    def _location(self, line: _Line) -> Iterator[Location]:
        identifier = _identifier(line)
        if match := _PREFERENCE.match(line.text):
            score = parse_score(match[4]) * (-1 if match[2] == "avoids" else 1)
            fallback = f"location-{match[1]}-{match[3]}"
            yield Location(id=identifier or fallback, resource=match[1], node=match[3], score=score)
            return
        if not line.text.startswith("Resource: "):
            self._not_held(line)
            return
        resource = line.text.split()[1]
        for child in line.children:
            for item in [child, *child.children]:
                found = _OLD_PREFERENCE.search(
                    item.text.removeprefix("Enabled on: ").removeprefix("Disabled on: ")
                )
                if found is None:
                    if item is not child or item.text.startswith("Constraint"):
                        self._not_held(item)
                    continue
                fallback = f"location-{resource}-{found[1]}"
                score = parse_score(found[2])
                yield Location(
                    id=_identifier(item) or fallback, resource=resource, node=found[1], score=score
                )

    def _order(self, line: _Line) -> Iterator[Order]:
        match = _ORDER.match(re.sub(r" \(id: ?[^)]*\)$", "", line.text))
        if match is None:
            self._not_held(line)
            return
        options = _options(line)
        kind = options.get("kind", "Mandatory").capitalize()
        actions = [word if word in get_args(Action) else "start" for word in (match[1], match[3])]
        one_way = options.get("symmetrical", "true").lower() in ("0", "false", "no", "off")
        yield Order(
            id=_identifier(line) or f"order-{match[2]}-{match[4]}",
            first=match[2],
            then=match[4],
            kind=kind if kind in get_args(OrderKind) else "Mandatory",  # type: ignore[arg-type]
            first_action=actions[0],  # type: ignore[arg-type]
            then_action=actions[1],  # type: ignore[arg-type]
            symmetrical=kind != "Serialize" and not one_way and "(non-symmetrical)" not in line.text,
        )

    def _colocation(self, line: _Line) -> Iterator[Colocation]:
        match = _COLOCATION.match(re.sub(r" \(id: ?[^)]*\)$", "", line.text))
        if match is None:
            self._not_held(line)
            return
        options = _options(line)
        roles = [
            {"Master": "Promoted", "Slave": "Unpromoted"}.get(role or "", role)
            for role in (match[1] or options.get("rsc-role"), match[3] or options.get("with-rsc-role"))
        ]
        try:
            score = parse_score(options.get("score", "INFINITY"))
        except ValueError:
            score = INFINITY
        yield Colocation(
            id=_identifier(line) or f"colocation-{match[2]}-{match[4]}",
            resource=match[2],
            with_resource=match[4],
            score=score,
            role=roles[0],  # type: ignore[arg-type]
            with_role=roles[1],  # type: ignore[arg-type]
        )


def _options(line: _Line) -> dict[str, str]:
    """Return what stands in parentheses, ``(score:INFINITY)``, or below, ``score=INFINITY``."""
    found = dict(re.findall(r"\(([\w-]+): ?([^)]*)\)", line.text))
    for child in line.children:
        found |= _pairs(child.text)
    return found


def _identifier(line: _Line) -> str:
    match = re.search(r"\(id: ?([^)]+)\)", line.text)
    return match[1] if match else ""


def parse(text: str, file: str = "") -> tuple[ClusterConfiguration, tuple[Finding, ...]]:
    """Read the listing of ``pcs config``; findings carry their line."""
    reader = _Reader(file)
    reader.read(_tree(text))
    if not reader.resources and not reader.nodes:
        return ClusterConfiguration(), (Finding("pcs-no-configuration", place=Place(file, 1, 1)),)
    configuration = ClusterConfiguration(
        nodes=tuple(Node(name=name, id=str(number)) for number, name in enumerate(reader.nodes, 1)),
        resources=tuple(reader.resources),
        constraints=tuple(reader.constraints),
        properties=reader.settings["properties"],
        resource_defaults=reader.settings["resources"],
        operation_defaults=reader.settings["operations"],
    )
    return configuration, tuple(reader.findings)
