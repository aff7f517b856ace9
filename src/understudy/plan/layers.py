"""The layers of a design as they were observed: what a plan would change, before it is changed (pure)."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, cast

from understudy.design.consistency import ADDRESS_AGENTS, Layers, Setting, disagreements, proxy_files
from understudy.design.context import Cloud
from understudy.design.items import Endpoint, File, Options
from understudy.findings import Finding
from understudy.formats.cib import load
from understudy.formats.cib.document import Element
from understudy.formats.haproxy import binds_of
from understudy.kinds.model import Change
from understudy.secret import MASK

_OPTION = re.compile(r"\[(?P<group>[^\]]*)\] (?P<name>.+)")


def observed_disagreements(
    cloud: Cloud,
    layers: Layers,
    changes: Iterable[Change],
    observations: Mapping[str, object],
    cib: str | None,
) -> tuple[Finding, ...]:
    """Return what disagrees in operation; ``cib`` is the live configuration, None when no cluster runs.

    Only services that the cluster runs already are looked at: what is not there yet, a plan shows as new.
    """
    if cib is None:
        return ()
    resources = {
        element.get("id", ""): element for element in load(cib).iterfind("configuration/resources//primitive")
    }
    running = {name: service for name, service in cloud.spec.services.items() if name in resources}
    if not running:
        return ()
    used = {service.address for service in running.values()}
    addresses = {name: one for name, one in cloud.spec.addresses.items() if name in used}
    spec = cloud.spec.model_copy(update={"services": running, "addresses": addresses})
    seen = _before(cloud, layers, changes)
    here = replace(
        seen,
        addresses=frozenset(_addresses(resources.values())),
        settings=tuple(one for one in seen.settings if one.service in running),
        endpoints=tuple(one for one in seen.endpoints if one.service in running),
    )
    return (*disagreements(replace(cloud, spec=spec), here, "warning"), *_beside(layers, observations))


def _addresses(primitives: Iterable[Element]) -> Iterator[str]:
    for element in primitives:
        agent = f"{element.get('class')}:{element.get('provider')}:{element.get('type')}"
        if agent in ADDRESS_AGENTS:
            for pair in element.iterfind("instance_attributes/nvpair[@name='ip']"):
                yield pair.get("value", "")


def _beside(layers: Layers, observations: Mapping[str, object]) -> Iterator[Finding]:
    """Give other endpoints of the same service, interface and region, which lead elsewhere."""
    for key, seen in observations.items():
        if not key.startswith(f"{Endpoint.kind} "):
            continue
        state = cast("Mapping[str, Any]", seen)
        for one in layers.endpoints:
            if key.endswith(f" {one.type} {one.interface}"):
                for other in state.get("others", ()):
                    if other["url"] != one.url:
                        values = {**other, "expected": one.url, "type": one.type, "interface": one.interface}
                        yield Finding(
                            "endpoint-beside", "warning", values, subject=f"{one.type} {one.interface}"
                        )


def _before(cloud: Cloud, layers: Layers, changes: Iterable[Change]) -> Layers:
    """Return the layers with what each change found in place of what it would make."""
    settings = {(one.service, one.node, one.path, one.group, one.name): one for one in layers.settings}
    fronts, endpoints = dict(layers.fronts), {(one.type, one.interface): one for one in layers.endpoints}
    proxies = proxy_files(cloud)
    for change in changes:
        item = change.item
        if isinstance(item, Options):
            _option_before(change, item, settings)
        elif isinstance(item, File) and item.path in proxies:
            text = next((each.before for each in change.differences if each.name == "content"), "")
            if any(each.name == "content" for each in change.differences):
                fronts[item.node] = binds_of(text or "")
        elif isinstance(item, Endpoint):
            spot = (item.service_type, item.interface)
            url = cast("Mapping[str, Any]", change.observed).get("endpoint")
            found = endpoints.pop(spot, None)
            if url and found:
                endpoints[spot] = replace(found, url=url["url"])
    return replace(
        layers, settings=tuple(settings.values()), fronts=fronts, endpoints=tuple(endpoints.values())
    )


def _option_before(
    change: Change, item: Options, settings: dict[tuple[str, str, str, str, str], Setting]
) -> None:
    for difference in change.differences:
        named = _OPTION.fullmatch(difference.name)
        if named is None:
            continue
        for key in [
            one for one in settings if one[1:] == (item.node, item.path, named["group"], named["name"])
        ]:
            if difference.before is None or difference.before == MASK:
                del settings[key]
            else:
                settings[key] = replace(settings[key], value=difference.before)
