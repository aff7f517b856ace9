"""The status section's elements as text."""

from functools import lru_cache
from typing import TYPE_CHECKING
from xml.sax.saxutils import quoteattr

if TYPE_CHECKING:
    from understudy.proof.state import History, NodeView

UUID = "00000000-0000-4000-8000-000000000000"


@lru_cache(maxsize=65536)
def history_text(resource: str, history: "History") -> str:
    """Return the ``lrm_resource`` element of a resource's operations, oldest first."""
    head = f"<lrm_resource id={quoteattr(resource)} type={quoteattr(history.type)} class={quoteattr(history.standard)}"
    if history.provider:
        head += f" provider={quoteattr(history.provider)}"
    if history.container:
        head += f" container={quoteattr(history.container)}"
    parts = [head + ">"]
    for call, op in enumerate(history.ops, 1):
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


def node_text(node: "NodeView") -> str:
    """Return the ``node_state`` element of a node."""
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
        parts += [history_text(*item) for item in sorted(node.resources.items())]
        parts.append("</lrm_resources></lrm>")
    parts.append("</node_state>")
    return "".join(parts)
