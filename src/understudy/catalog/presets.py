"""Shapes of a cluster's configuration, as data: what the spec's key ``preset`` chooses from."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from understudy.formats.cluster import OrderKind

Layer = Literal["storage", "data", "service"]
Place = Literal["controllers", "network"]
"""Where a service runs: on all nodes of the spec, or on its network nodes."""
Kind = Literal["address", "storage", "data", "service"]


class Model(BaseModel):
    """Frozen, without unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Timing(Model):
    """An operation that Pacemaker runs; times in seconds, without a timeout Pacemaker's own of 20."""

    name: str
    interval: int = 0
    timeout: int | None = None


class GroupRule(Model):
    """What is put into one group: the cold services of a layer, behind their addresses and storages."""

    id: str
    """With ``{service}`` in it, a group for each service."""
    layer: Layer
    place: Place = "controllers"
    first: tuple[str, ...] = ()
    """Services that come first, in this order; the others follow as the spec has them."""


class Preset(Model):
    """One shape."""

    token: int
    """Milliseconds without a sign of life after which a node counts as lost, unless the spec says so itself."""
    watch: bool = False
    """Whether deaths of services are reported to Pacemaker at once, and addresses leave copies that do not answer."""
    avoid_coordinator: bool = False
    """Whether addresses of services with several copies are placed on other nodes than the cluster's coordinator."""
    properties: dict[str, str]
    """Cluster properties, but for ``stonith-enabled``, which follows the spec."""
    resource_defaults: dict[str, str] = Field(default_factory=dict)
    copies_meta: dict[str, str] = Field(default_factory=dict)
    """Meta attributes of services that run on every node at once, in place of the defaults."""
    address_agent: str = "ocf:heartbeat:IPaddr2"
    """The agent of virtual addresses, with the parameters of IPaddr2."""
    operations: dict[Kind, tuple[Timing, ...]] = Field(default_factory=dict)
    """Operations by the kind of resource, in place of those of the catalog."""
    groups: tuple[GroupRule, ...] = ()
    """Of groups that share an address or a storage, one is made, which is called as the first of them here."""
    address_before_balancer: OrderKind | None = None
    """The kind of order that starts the load balancer behind the addresses it serves; none: no order."""
