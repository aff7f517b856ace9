"""The status section's elements as text."""

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from understudy.proof.state import History, NodeView

_ESCAPED = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\n": "&#10;", "\r": "&#13;", "\t": "&#9;"}
)
STARTING = frozenset({"start", "migrate_from"})
UUID = "00000000-0000-4000-8000-000000000000"


@lru_cache(maxsize=65536)
def quoteattr(text: str) -> str:
    """Return an attribute's value in quotes (the standard library's own brings a mail parser along)."""
    return f'"{text.translate(_ESCAPED)}"'


@lru_cache(maxsize=65536)
def history_text(resource: str, history: "History", hidden: frozenset[int] | None = None) -> str:
    """Return the ``lrm_resource`` element of a resource's operations, oldest first.

    With ``hidden`` it is a running one that never failed: monitors with these intervals are left out, and what started it
    is written as a reload, for which the scheduler compares no digests and which says as well that it runs.
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
        extra = "".join(f" {key}={quoteattr(value)}" for key, value in op.extra)
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


def node_text(node: "NodeView", hidden: Mapping[str, frozenset[int]]) -> str:
    """Return the ``node_state`` element of a node, without the monitors of these intervals of these primitives."""
    name, ident = quoteattr(node.name), quoteattr(node.id)
    flags = "".join(f" {key}={quoteattr(value)}" for key, value in node.flags)
    remote = ' remote_node="true"' if node.remote else ""
    parts = [f"<node_state id={ident} uname={name}{remote}{flags}>"]
    if node.attributes:
        block = quoteattr(f"status-{node.id}")
        parts.append(f"<transient_attributes id={ident}><instance_attributes id={block}>")
        parts += [
            f"<nvpair id={quoteattr(f'status-{node.id}-{key}')} name={quoteattr(key)} value={quoteattr(value)}/>"
            for key, value in sorted(node.attributes.items())
        ]
        parts.append("</instance_attributes></transient_attributes>")
    if node.resources:
        parts.append(f"<lrm id={ident}><lrm_resources>")
        parts += [
            history_text(name, history, hidden.get(name.partition(":")[0]))
            for name, history in sorted(node.resources.items())
        ]
        parts.append("</lrm_resources></lrm>")
    parts.append("</node_state>")
    return "".join(parts)
