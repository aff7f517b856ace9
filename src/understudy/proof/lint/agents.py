"""Checks of resources against what their agents say of themselves."""

from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

from ruamel.yaml import YAML

from understudy.findings.model import Finding
from understudy.proof.agents import Metadata
from understudy.proof.configuration import Configuration, Resource

GENERAL = ("pcmk_", "CRM_meta_", "trace_ra", "trace_file", "OCF_CHECK_LEVEL", "stonith-timeout", "priority")


def agents(facts: Configuration, known: Mapping[str, Metadata | None]) -> Iterator[Finding]:
    """Agents are installed, their parameters exist and are complete, and timeouts are what they ask for."""
    for item in facts.primitives():
        if item.agent not in known:
            continue
        metadata = known[item.agent]
        if metadata is None:
            yield Finding("agent-not-installed", "note", {"agent": item.agent}, subject=item.id)
            continue
        yield from _parameters(item, metadata)
        for operation in item.operations:
            advised = metadata.timeouts.get(operation.name, 0)
            if 0 < operation.timeout < advised:
                values = {
                    "operation": operation.name,
                    "timeout": operation.timeout // 1000,
                    "advised": advised // 1000,
                    "agent": item.agent,
                }
                yield Finding("timeout-below-advice", "warning", values, subject=item.id)


def _parameters(item: Resource, metadata: Metadata) -> Iterator[Finding]:
    for name in item.parameters:
        if name not in metadata.parameters and not name.startswith(GENERAL):
            values = {"name": name, "agent": item.agent}
            yield Finding("unknown-parameter", "warning", values, subject=item.id)
    if item.fencing:
        return  # fence agents mark as required what has an alias or a default
    for name, required in metadata.parameters.items():
        if required and name not in item.parameters:
            yield Finding("parameter-missing", values={"name": name, "agent": item.agent}, subject=item.id)


def published(facts: Configuration) -> Iterator[Finding]:
    """Published configurations' known mistakes about the published OpenStack agents (data in published.yaml)."""
    known: dict[str, dict[str, Any]] = YAML(typ="safe").load(
        (resources.files(__package__) / "published.yaml").read_text(encoding="utf-8")
    )
    for item in facts.primitives():
        if not item.agent.startswith("ocf:openstack:"):
            continue
        if right := known["misnamed"].get(item.type):
            values = {"wrong": item.type, "right": right}
            yield Finding("agent-misnamed", "warning", values, subject=item.id)
        for name, meant in known["parameters"].get(item.type, {}).items():
            if name in item.parameters:
                values = {"name": name, "meant": meant, "agent": item.agent}
                yield Finding("parameter-misnamed", "warning", values, subject=item.id)
        for name, ending in known["endings"].items():
            if not item.parameters.get(name, ending).rstrip("/").endswith(ending):
                values = {"name": name, "ending": ending}
                yield Finding("parameter-incomplete", "warning", values, subject=item.id)
