"""From CIB XML to a configuration, with a finding for everything that the model does not hold.

What is not held is Pacemaker's to judge; nothing is guessed. Templates and ``id-ref`` references are resolved.
"""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar, cast, get_args

from understudy.findings import Finding, Place, Severity
from understudy.formats.cib.document import NOT_IDS, Element, configuration_of, elements, line_of, load
from understudy.formats.cluster import (
    INFINITY,
    Action,
    Clone,
    ClusterConfiguration,
    Colocation,
    Constraint,
    Discovery,
    Expression,
    FencingLevel,
    Group,
    Location,
    Node,
    OnFail,
    Operation,
    Order,
    OrderKind,
    Primitive,
    Resource,
    Role,
    Rule,
    Tag,
    normal_role,
    parse_score,
    parse_seconds,
)

T = TypeVar("T")

_TRUE = frozenset({"true", "yes", "on", "y", "1"})
_FALSE = frozenset({"false", "no", "off", "n", "0"})
_KNOWN_SECTIONS = frozenset({
    "crm_config", "nodes", "resources", "constraints", "fencing-topology", "tags", "rsc_defaults", "op_defaults",
})  # fmt: skip
_OPERATION_ATTRIBUTES = frozenset({
    "id", "name", "interval", "timeout", "on-fail", "role", "enabled", "record-pending", "description",
})  # fmt: skip


def parse(text: str, file: str = "") -> tuple[ClusterConfiguration, tuple[Finding, ...]]:
    """Read a CIB or its ``configuration``; raises FindingsError when it is no such XML.

    Findings: ``cib-not-held`` (a note) for what the model has no place for, ``cib-bad-value`` for what Pacemaker
    would not understand either, ``cib-duplicate-id``.
    """
    reader = _Reader(load(text, file), file)
    return reader.configuration(), tuple(reader.findings)


class _Reader:
    def __init__(self, root: Element, file: str) -> None:
        self.findings: list[Finding] = []
        self._file = file
        self._root = configuration_of(root)
        self._by_id: dict[str, Element] = {}
        for element in self._root.iter("*"):
            name = element.get("id")
            if name is not None and element.tag not in NOT_IDS:
                if name in self._by_id:
                    self._note("cib-duplicate-id", element, severity="error", id=name)
                else:
                    self._by_id[name] = element

    def configuration(self) -> ClusterConfiguration:
        for section in elements(self._root):
            if section.tag not in _KNOWN_SECTIONS:
                self._not_held(section, f"section {section.tag}")
        return ClusterConfiguration(
            nodes=self._each("nodes", self._node),
            resources=self._each("resources", self._resource),
            constraints=self._each("constraints", self._constraint),
            fencing_levels=self._each("fencing-topology", self._fencing_level),
            properties=self._pairs(self._section("crm_config"), "cluster_property_set"),
            resource_defaults=self._pairs(self._section("rsc_defaults"), "meta_attributes"),
            operation_defaults=self._pairs(self._section("op_defaults"), "meta_attributes"),
            tags=self._each("tags", self._tag),
        )

    def _section(self, name: str) -> Element | None:
        return self._root.find(name)

    def _each(self, section: str, read: Callable[[Element], T | None]) -> tuple[T, ...]:
        parent = self._section(section)
        items = (read(child) for child in elements(parent)) if parent is not None else ()
        return tuple(item for item in items if item is not None)

    def _note(self, code: str, element: Element, *, severity: Severity = "note", **values: object) -> None:
        place = Place(self._file, line_of(element))
        self.findings.append(Finding(code, severity, values, place, subject=_subject(element)))

    def _not_held(self, element: Element, what: str) -> None:
        self._note("cib-not-held", element, what=what)

    def _bad(self, element: Element, name: str, expected: str) -> None:
        value = element.get(name, "")
        self._note("cib-bad-value", element, severity="error", name=name, value=value, expected=expected)

    # Values

    def _choice(self, element: Element, name: str, kind: object, value: str | None = None) -> str | None:
        text = element.get(name) if value is None else value
        if text is None:
            return None
        if text in get_args(kind):
            return text
        self._bad(element, name, ", ".join(get_args(kind)))
        return None

    def _role(self, element: Element, name: str) -> Role | None:
        text = element.get(name)
        return (
            None
            if text is None
            else cast("Role | None", self._choice(element, name, Role, normal_role(text)))
        )

    def _seconds(self, element: Element, name: str) -> float | None:
        text = element.get(name)
        if text is None:
            return None
        try:
            return parse_seconds(text)
        except ValueError:
            self._bad(element, name, "a duration such as 20s")
            return None

    def _score(self, element: Element, default: int = 0) -> int:
        text = element.get("score")
        try:
            return default if text is None else parse_score(text)
        except ValueError:
            self._bad(element, "score", "INFINITY, -INFINITY or a number")
            return default

    def _boolean(self, element: Element, name: str, *, default: bool) -> bool:
        text = element.get(name, "").lower()
        if text in _TRUE | _FALSE:
            return text in _TRUE
        if text:
            self._bad(element, name, "true or false")
        return default

    def _resolved(self, element: Element) -> Element:
        reference = element.get("id-ref")
        return element if reference is None else self._by_id.get(reference, element)

    def _pairs(self, parent: Element | None, tag: str) -> dict[str, str]:
        """Read the sets of one kind as Pacemaker does: the highest score first, the first to name a value wins."""
        values: dict[str, str] = {}
        if parent is None:
            return values
        sets = [self._resolved(child) for child in parent.findall(tag)]
        # Pacemaker reads this set before all others, whatever their scores are.
        for pairs in sorted(
            sets, key=lambda item: (item.get("id") != "cib-bootstrap-options", -self._score(item))
        ):
            if pairs.find("rule") is not None:
                self._not_held(pairs, f"{tag} with a rule")
                continue
            for pair in map(self._resolved, pairs.findall("nvpair")):
                values.setdefault(pair.get("name", ""), pair.get("value", ""))
        return values

    # Objects

    def _node(self, element: Element) -> Node:
        if element.get("type", "member") not in {"member", "normal"}:
            self._not_held(element, f"node of the type {element.get('type')}")
        return Node(
            name=element.get("uname", ""),
            id=element.get("id", ""),
            attributes=self._pairs(element, "instance_attributes"),
            utilization=self._pairs(element, "utilization"),
        )

    def _resource(self, element: Element) -> Resource | None:
        match element.tag:
            case "primitive":
                return self._primitive(element)
            case "group":
                return self._group(element)
            case "clone" | "master":
                return self._clone(element)
            case "template":
                return None
            case tag:
                self._not_held(element, str(tag))
                return None

    def _group(self, element: Element) -> Group:
        self._no_parameters(element)
        return Group(
            id=element.get("id", ""),
            primitives=tuple(self._primitive(child) for child in element.findall("primitive")),
            meta=self._pairs(element, "meta_attributes"),
        )

    def _clone(self, element: Element) -> Clone | None:
        inner = next((child for child in elements(element) if child.tag in {"primitive", "group"}), None)
        if inner is None:
            self._not_held(element, "clone of nothing")
            return None
        self._no_parameters(element)
        meta = self._pairs(element, "meta_attributes")
        promotable = meta.pop("promotable", "").lower() in _TRUE or element.tag == "master"
        resource = self._primitive(inner) if inner.tag == "primitive" else self._group(inner)
        return Clone(id=element.get("id", ""), resource=resource, promotable=promotable, meta=meta)

    def _no_parameters(self, element: Element) -> None:
        if element.find("instance_attributes") is not None:
            self._not_held(element, f"parameters of a {element.tag}")

    def _primitive(self, element: Element) -> Primitive:
        template = self._by_id.get(element.get("template", ""))
        sources = [element] if template is None else [element, template]
        identity = sources[-1]
        names = ("class", "provider", "type")
        agent = ":".join(part for part in (identity.get(name) for name in names) if part)
        return Primitive(
            id=element.get("id", ""),
            agent=agent,
            parameters=self._layered(sources, "instance_attributes"),
            meta=self._layered(sources, "meta_attributes"),
            operations=self._operations(sources),
            utilization=self._layered(sources, "utilization"),
        )

    def _layered(self, sources: Iterable[Element], tag: str) -> dict[str, str]:
        values: dict[str, str] = {}
        for source in sources:
            for name, value in self._pairs(source, tag).items():
                values.setdefault(name, value)
        return values

    def _operations(self, sources: list[Element]) -> tuple[Operation, ...]:
        """Read operations; those of a template count unless the primitive has one of the same name and interval."""
        found: list[Operation] = []
        for source in sources:
            own = {(operation.name, operation.interval) for operation in found}
            read = [
                self._operation(child)
                for holder in source.findall("operations")
                for child in self._resolved(holder).findall("op")
            ]
            found.extend(item for item in read if (item.name, item.interval) not in own)
        return tuple(found)

    def _operation(self, element: Element) -> Operation:
        extra = sorted(set(map(str, element.attrib)) - _OPERATION_ATTRIBUTES)
        parameters = self._pairs(element, "instance_attributes")
        level = parameters.pop("OCF_CHECK_LEVEL", None)
        if level is not None and not level.isdecimal():
            parameters["OCF_CHECK_LEVEL"], level = level, None
        extra += sorted(parameters)
        meta = self._pairs(element, "meta_attributes")
        on_fail = self._choice(element, "on-fail", OnFail)
        timeout = self._seconds(element, "timeout")
        if timeout is None and "timeout" in meta:
            extra.append("timeout in meta_attributes")
        if extra:
            self._not_held(element, f"{', '.join(extra)} of an operation")
        return Operation(
            name=element.get("name", ""),
            interval=self._seconds(element, "interval") or 0,
            timeout=timeout,
            on_fail=cast("OnFail | None", on_fail),
            role=self._role(element, "role"),
            enabled=self._boolean(element, "enabled", default=True),
            check_level=None if level is None else int(level),
        )

    def _constraint(self, element: Element) -> Constraint | None:
        readers: dict[str, Callable[[Element], Constraint | None]] = {
            "rsc_colocation": self._colocation,
            "rsc_order": self._order,
            "rsc_location": self._location,
        }
        read = readers.get(str(element.tag))
        inner = [child.tag for child in elements(element) if child.tag in {"resource_set", "lifetime"}]
        if read is None or inner:
            self._not_held(element, f"{element.tag} with {inner[0]}" if inner else str(element.tag))
            return None
        return read(element)

    def _colocation(self, element: Element) -> Colocation:
        for name in ("node-attribute", "influence"):
            if name in element.attrib:
                self._not_held(element, f"{name} of a colocation")
        return Colocation(
            id=element.get("id", ""),
            resource=element.get("rsc", ""),
            with_resource=element.get("with-rsc", ""),
            score=self._score(element),
            role=self._role(element, "rsc-role"),
            with_role=self._role(element, "with-rsc-role"),
        )

    def _order(self, element: Element) -> Order:
        kind = self._choice(element, "kind", OrderKind)
        if kind is None:
            kind = "Optional" if self._score(element, INFINITY) == 0 else "Mandatory"
        first_action = self._choice(element, "first-action", Action) or "start"
        if "require-all" in element.attrib:
            self._not_held(element, "require-all of an order")
        return Order(
            id=element.get("id", ""),
            first=element.get("first", ""),
            then=element.get("then", ""),
            kind=cast("OrderKind", kind),
            first_action=cast("Action", first_action),
            then_action=cast("Action", self._choice(element, "then-action", Action) or first_action),
            symmetrical=kind != "Serialize" and self._boolean(element, "symmetrical", default=True),
        )

    def _location(self, element: Element) -> Location | None:
        rules = [self._resolved(rule) for rule in element.findall("rule")]
        discovery = self._choice(element, "resource-discovery", Discovery)
        if "rsc-pattern" in element.attrib or len(rules) > 1 or (not rules and "node" not in element.attrib):
            self._not_held(element, "location with a pattern or several rules")
            return None
        rule = self._rule(rules[0]) if rules else None
        if rules and rule is None:
            return None
        source = rules[0] if rules else element
        return Location(
            id=element.get("id", ""),
            resource=element.get("rsc", ""),
            node=None if rules else element.get("node"),
            score=self._score(source),
            rule=rule,
            role=self._role(source, "role") or self._role(element, "role"),
            resource_discovery=cast("Discovery | None", discovery),
        )

    def _rule(self, element: Element) -> Rule | None:
        children = elements(element)
        simple = all(child.tag == "expression" and "value-source" not in child.attrib for child in children)
        if not children or not simple or "score-attribute" in element.attrib:
            self._not_held(element, "rule that is more than comparisons of node attributes")
            return None
        return Rule(
            expressions=tuple(
                Expression(
                    attribute=child.get("attribute", ""),
                    operation=cast("Any", child.get("operation", "")),
                    value=child.get("value"),
                    type=cast("Any", child.get("type")),
                )
                for child in children
            ),
            boolean_operator=cast("Any", element.get("boolean-op", "and")),
        )

    def _fencing_level(self, element: Element) -> FencingLevel | None:
        index = element.get("index", "")
        if "target" not in element.attrib or not index.isdecimal():
            self._not_held(element, "fencing level without the name of a node")
            return None
        devices = tuple(device for device in element.get("devices", "").split(",") if device)
        return FencingLevel(target=element.get("target", ""), index=int(index), devices=devices)

    def _tag(self, element: Element) -> Tag:
        references = tuple(child.get("id", "") for child in element.findall("obj_ref"))
        return Tag(id=element.get("id", ""), references=references)


def _subject(element: Element) -> str:
    """Return the id of the nearest object that a person named."""
    return next((item.get("id", "") for item in (element, *element.iterancestors()) if item.get("id")), "")
