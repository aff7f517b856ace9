"""From a configuration to CIB XML.

Ids of what a person does not name follow crmsh's pattern (``vip-instance_attributes-ip``, ``vip-monitor-10s``), so
that a configuration loaded by ``crm configure load`` and one written here are the same to the letter.
"""

from collections.abc import Iterator, Mapping

from lxml import etree

from understudy.formats.cib.document import Element, Ids, text_of
from understudy.formats.cluster import (
    OWNER,
    Clone,
    ClusterConfiguration,
    Colocation,
    Constraint,
    FencingLevel,
    Group,
    Location,
    Node,
    Operation,
    Order,
    Primitive,
    Resource,
    Tag,
    score_text,
    seconds_text,
)

PROPERTY_SET = "cib-bootstrap-options"
RESOURCE_DEFAULTS_SET = "rsc-options"
OPERATION_DEFAULTS_SET = "op-options"


def render(
    configuration: ClusterConfiguration,
    *,
    validate_with: str = "pacemaker-3.9",
    crm_feature_set: str = "3.16.1",
) -> str:
    """Write a whole CIB with an empty status.

    The defaults are Pacemaker 2.1.5's. Write the target's: its tools abort on a feature set newer than their own.
    Promotable roles are written ``Promoted`` and ``Unpromoted``, which schemas know since pacemaker-3.7. Raises
    ValueError when two objects have one id, or an id is none.
    """
    attributes = {"crm_feature_set": crm_feature_set, "validate-with": validate_with}
    root = etree.Element("cib", {**attributes, "epoch": "1", "num_updates": "0", "admin_epoch": "0"})
    root.append(configuration_element(configuration))
    etree.SubElement(root, "status")
    return text_of(root)


def configuration_element(configuration: ClusterConfiguration) -> Element:
    """Build the ``configuration`` element; sections that Pacemaker does not demand are left out when empty."""
    ids = ids_for(configuration)
    root = etree.Element("configuration")
    properties = etree.SubElement(root, "crm_config")
    add_pairs(properties, "cluster_property_set", PROPERTY_SET, configuration.properties, ids)
    nodes = etree.SubElement(root, "nodes")
    nodes.extend(node_element(node, ids) for node in configuration.nodes)
    resources = etree.SubElement(root, "resources")
    resources.extend(resource_element(resource, ids) for resource in configuration.resources)
    constraints = etree.SubElement(root, "constraints")
    constraints.extend(constraint_element(constraint, ids) for constraint in configuration.constraints)
    if configuration.fencing_levels:
        topology = etree.SubElement(root, "fencing-topology")
        topology.extend(fencing_level_element(level) for level in configuration.fencing_levels)
    if configuration.tags:
        tags = etree.SubElement(root, "tags")
        tags.extend(tag_element(tag) for tag in configuration.tags)
    for section, set_id, values in (
        ("rsc_defaults", RESOURCE_DEFAULTS_SET, configuration.resource_defaults),
        ("op_defaults", OPERATION_DEFAULTS_SET, configuration.operation_defaults),
    ):
        if values:
            add_pairs(etree.SubElement(root, section), "meta_attributes", set_id, values, ids)
    return root


def ids_for(configuration: ClusterConfiguration) -> Ids:
    """Return an owner of ids that knows every named object; raises ValueError when two share an id."""
    ids = Ids()
    for name in _named(configuration):
        ids.claim(name)
    return ids


def _named(configuration: ClusterConfiguration) -> Iterator[str]:
    yield from configuration.resource_ids()
    yield from (constraint.id for constraint in configuration.constraints)
    yield from (fencing_level_id(level) for level in configuration.fencing_levels)
    yield from (tag.id for tag in configuration.tags)


def owned_ids(configuration: ClusterConfiguration) -> tuple[str, ...]:
    """Return the ids of all objects and settings as ``render`` writes them, without the owner's tag."""
    root = configuration_element(configuration)
    settings = (root.find(section) for section in ("crm_config", "rsc_defaults", "op_defaults", "nodes"))
    pairs = (
        pair.get("id", "") for section in settings if section is not None for pair in section.iter("nvpair")
    )
    return (*(name for name in _named(configuration) if name != OWNER), *pairs)


def with_owner_tag(configuration: ClusterConfiguration) -> ClusterConfiguration:
    """Return the configuration with the tag that says that understudy owns all of it."""
    owned = owned_ids(configuration)
    return configuration.with_tag(Tag(id=OWNER, references=owned)) if owned else configuration


def fencing_level_id(level: FencingLevel) -> str:
    """Return the id of a fencing level, the one that pcs would choose."""
    return Ids().derive(f"fl-{level.target}-{level.index}")


def add_pairs(parent: Element, tag: str, set_id: str, values: Mapping[str, str], ids: Ids) -> None:
    """Add a set of name-value pairs, unless there are none."""
    if not values:
        return
    pairs = etree.SubElement(parent, tag, {"id": ids.derive(set_id)})
    for name, value in values.items():
        add_pair(pairs, name, value, ids)


def add_pair(pairs: Element, name: str, value: str, ids: Ids) -> str:
    """Add one name-value pair and return its id."""
    pair_id = ids.derive(f"{pairs.get('id')}-{name}")
    etree.SubElement(pairs, "nvpair", {"id": pair_id, "name": name, "value": value})
    return pair_id


def node_element(node: Node, ids: Ids) -> Element:
    """Build a node; the ids of its sets are those that Pacemaker's own crm_attribute chooses."""
    element = etree.Element("node", {"id": node.id, "uname": node.name})
    add_pairs(element, "instance_attributes", f"nodes-{node.id}", node.attributes, ids)
    add_pairs(element, "utilization", f"nodes-{node.id}-utilization", node.utilization, ids)
    return element


def resource_element(resource: Resource, ids: Ids) -> Element:
    """Build a resource with everything inside it."""
    match resource:
        case Primitive():
            return _primitive_element(resource, ids)
        case Group():
            element = etree.Element("group", {"id": resource.id})
            add_pairs(element, "meta_attributes", f"{resource.id}-meta_attributes", resource.meta, ids)
            element.extend(_primitive_element(primitive, ids) for primitive in resource.primitives)
            return element
        case Clone():
            element = etree.Element("clone", {"id": resource.id})
            promotable = {"promotable": "true"} if resource.promotable else {}
            add_pairs(
                element,
                "meta_attributes",
                f"{resource.id}-meta_attributes",
                {**promotable, **resource.meta},
                ids,
            )
            element.append(resource_element(resource.resource, ids))
            return element


def _primitive_element(primitive: Primitive, ids: Ids) -> Element:
    element = etree.Element("primitive", {"id": primitive.id, **_agent_attributes(primitive)})
    add_pairs(
        element, "instance_attributes", f"{primitive.id}-instance_attributes", primitive.parameters, ids
    )
    if primitive.operations:
        operations = etree.SubElement(element, "operations")
        operations.extend(
            _operation_element(primitive.id, operation, ids) for operation in primitive.operations
        )
    add_pairs(element, "meta_attributes", f"{primitive.id}-meta_attributes", primitive.meta, ids)
    add_pairs(element, "utilization", f"{primitive.id}-utilization", primitive.utilization, ids)
    return element


def _agent_attributes(primitive: Primitive) -> dict[str, str]:
    agent_class, separator, rest = primitive.agent.partition(":")
    if not separator or not rest:
        raise ValueError(f"{primitive.id}: an agent is written class:type, not {primitive.agent!r}")
    if agent_class != "ocf":
        return {"class": agent_class, "type": rest}
    provider, separator, agent_type = rest.partition(":")
    if not separator or not agent_type:
        raise ValueError(
            f"{primitive.id}: an OCF agent is written ocf:provider:type, not {primitive.agent!r}"
        )
    return {"class": "ocf", "provider": provider, "type": agent_type}


def _operation_element(resource_id: str, operation: Operation, ids: Ids) -> Element:
    interval = seconds_text(operation.interval)
    element = etree.Element("op", {"id": ids.derive(f"{resource_id}-{operation.name}-{interval}")})
    optional = {
        "timeout": None if operation.timeout is None else seconds_text(operation.timeout),
        "on-fail": operation.on_fail,
        "role": operation.role,
        "enabled": None if operation.enabled else "false",
    }
    present = {name: value for name, value in optional.items() if value is not None}
    element.attrib.update({"name": operation.name, "interval": interval})
    element.attrib.update(tuple(present.items()))
    if operation.check_level is not None:
        values = {"OCF_CHECK_LEVEL": str(operation.check_level)}
        add_pairs(element, "instance_attributes", f"{element.get('id')}-instance_attributes", values, ids)
    return element


def constraint_element(constraint: Constraint, ids: Ids) -> Element:
    """Build a constraint; what Pacemaker assumes by itself is not written."""
    match constraint:
        case Colocation():
            return _colocation_element(constraint)
        case Order():
            return _order_element(constraint)
        case Location():
            return _location_element(constraint, ids)


def _colocation_element(constraint: Colocation) -> Element:
    element = etree.Element("rsc_colocation", {"id": constraint.id, "score": score_text(constraint.score)})
    element.set("rsc", constraint.resource)
    if constraint.role:
        element.set("rsc-role", constraint.role)
    element.set("with-rsc", constraint.with_resource)
    if constraint.with_role:
        element.set("with-rsc-role", constraint.with_role)
    return element


def _order_element(constraint: Order) -> Element:
    element = etree.Element("rsc_order", {"id": constraint.id, "kind": constraint.kind})
    if not constraint.symmetrical and constraint.kind != "Serialize":
        element.set("symmetrical", "false")
    element.set("first", constraint.first)
    if constraint.first_action != "start":
        element.set("first-action", constraint.first_action)
    element.set("then", constraint.then)
    if constraint.then_action != constraint.first_action:
        element.set("then-action", constraint.then_action)
    return element


def _location_element(constraint: Location, ids: Ids) -> Element:
    element = etree.Element("rsc_location", {"id": constraint.id, "rsc": constraint.resource})
    if constraint.resource_discovery:
        element.set("resource-discovery", constraint.resource_discovery)
    if constraint.node is not None:
        if constraint.role:
            element.set("role", constraint.role)
        element.set("score", score_text(constraint.score))
        element.set("node", constraint.node)
    if constraint.rule:
        rule = etree.SubElement(element, "rule", {"id": ids.derive(f"{constraint.id}-rule")})
        if constraint.role:
            rule.set("role", constraint.role)
        rule.set("score", score_text(constraint.score))
        if constraint.rule.boolean_operator != "and":
            rule.set("boolean-op", constraint.rule.boolean_operator)
        for item in constraint.rule.expressions:
            expression = etree.SubElement(
                rule, "expression", {"id": ids.derive(f"{rule.get('id')}-expression")}
            )
            optional = {"type": item.type, "value": item.value}
            present = {name: value for name, value in optional.items() if value is not None}
            expression.attrib.update({"attribute": item.attribute, "operation": item.operation})
            expression.attrib.update(tuple(present.items()))
    return element


def fencing_level_element(level: FencingLevel) -> Element:
    """Build a fencing level."""
    attributes = {"target": level.target, "index": str(level.index), "devices": ",".join(level.devices)}
    return etree.Element("fencing-level", {"id": fencing_level_id(level), **attributes})


def tag_element(tag: Tag) -> Element:
    """Build a tag."""
    element = etree.Element("tag", {"id": tag.id})
    for reference in tag.references:
        etree.SubElement(element, "obj_ref", {"id": reference})
    return element
