"""The status section's elements as text."""

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from understudy.proof.lean import Omitted
    from understudy.proof.state import History, NodeView

_ESCAPED = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\n": "&#10;", "\r": "&#13;", "\t": "&#9;"}
)
STARTING = frozenset({"start", "migrate_from"})
FAILED_AT = "last-rc-change"
COUNTED = ("fail-count-", "last-failure-")
UUID = "00000000-0000-4000-8000-000000000000"


@lru_cache(maxsize=65536)
def quoteattr(text: str) -> str:
    """Return an attribute's value in quotes (the standard library's own brings a mail parser along)."""
    return f'"{text.translate(_ESCAPED)}"'


@lru_cache(maxsize=65536)
def history_text(
    resource: str, history: "History", hidden: frozenset[int] | None = None, *, timeless: bool = False
) -> str:
    """Return the ``lrm_resource`` element of a resource's operations, oldest first.

    With ``hidden`` it is a running one that never failed: monitors with these intervals are left out, and what started
    it is written as a reload, for which the scheduler compares no digests and which says as well that it runs.
    ``timeless`` leaves out when something failed.
    """
    head = f"<lrm_resource id={quoteattr(resource)} type={quoteattr(history.type)} class={quoteattr(history.standard)}"
    if history.provider:
        head += f" provider={quoteattr(history.provider)}"
    if history.container:
        head += f" container={quoteattr(history.container)}"
    parts = [head + ">"]
    kept = history.ops
    if hidden is not None:
        kept = tuple(op for op in kept if op.operation != "monitor" or op.interval not in hidden)
        if len(kept) == 1 and kept[0].operation in STARTING and not kept[0].rc:
            name = quoteattr(f"{resource}_last_0")
            return (
                f'{parts[0]}<lrm_rsc_op id={name} operation="reload" rc-code="0" op-status="0"'
                f' transition-key="1:0:0:{UUID}"/></lrm_resource>'
            )
    for call, op in enumerate(history.ops, 1):
        if op not in kept:
            continue
        extra = "".join(
            f" {key}={quoteattr(value)}" for key, value in op.extra if not (timeless and key == FAILED_AT)
        )
        key = f"{call}:0:{op.target}:{UUID}"
        digest = f' op-digest="{op.digest}"' if op.digest else ""
        name = quoteattr(f"{resource}_{op.key}")
        operation_key = quoteattr(f"{resource}_{op.operation}_{op.interval}")
        parts.append(
            f'<lrm_rsc_op id={name} operation_key={operation_key} operation="{op.operation}"'
            f' interval="{op.interval}" call-id="{call}" rc-code="{op.rc}" op-status="{op.status}"'
            f' transition-key="{key}" transition-magic="{op.status}:{op.rc};{key}"{digest}{extra}/>'
        )
    parts.append("</lrm_resource>")
    return "".join(parts)


def node_text(node: "NodeView", omitted: "Omitted | None" = None) -> str:
    """Return the ``node_state`` element of a node, without what is left out."""
    name, ident = quoteattr(node.name), quoteattr(node.id)
    flags = "".join(f" {key}={quoteattr(value)}" for key, value in node.flags)
    remote = ' remote_node="true"' if node.remote else ""
    parts = [f"<node_state id={ident} uname={name}{remote}{flags}>"]
    attributes, resources = _kept(node, omitted)
    if attributes:
        block = quoteattr(f"status-{node.id}")
        parts.append(f"<transient_attributes id={ident}><instance_attributes id={block}>")
        parts += [
            f"<nvpair id={quoteattr(f'status-{node.id}-{key}')} name={quoteattr(key)} value={quoteattr(value)}/>"
            for key, value in attributes
        ]
        parts.append("</instance_attributes></transient_attributes>")
    if resources:
        parts.append(f"<lrm id={ident}><lrm_resources>")
        monitors: Mapping[str, frozenset[int]] = omitted.monitors if omitted else {}
        timeless = omitted is not None and omitted.settled
        parts += [
            history_text(name, history, monitors.get(name.partition(":")[0]), timeless=timeless)
            for name, history in resources
        ]
        parts.append("</lrm_resources></lrm>")
    parts.append("</node_state>")
    return "".join(parts)


def _kept(
    node: "NodeView", omitted: "Omitted | None"
) -> tuple[list[tuple[str, str]], list[tuple[str, "History"]]]:
    """Return the attributes and the resources of a node that are written."""
    attributes, resources = sorted(node.attributes.items()), sorted(node.resources.items())
    if omitted is None:
        return attributes, resources
    if omitted.settled:
        attributes = [pair for pair in attributes if not pair[0].startswith(COUNTED)]
    return attributes, [
        (name, history)
        for name, history in resources
        if name.partition(":")[0] not in omitted.idle
        and not (name in omitted.forgotten and history.stopped_after_failure)
    ]
