"""What is known about a service of the control plane: one YAML file each, read into these classes.

Where a value depends on the release or the distribution, a list holds one entry for each case, and the entry says
for which releases and distributions it is; without either it holds for all.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from understudy.catalog.presets import Layer, Place, Preset
from understudy.formats.cluster import OnFail, Role
from understudy.spec.model import Standby

Need = Literal[
    "database", "identity", "messaging", "caching", "coordination", "balancing", "dataplane", "layer2"
]
Reach = Literal["address", "copies"]


class Model(BaseModel):
    """Frozen, without unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Case(Model):
    """Something that holds for some releases and distributions only."""

    releases: str = ".."
    """Range of releases, such as ``queens..``, ``..mitaka``, ``folsom..grizzly``."""
    distributions: tuple[str, ...] = ()
    """Distributions; none means all."""


class Named(Case):
    """A name: of a package or a unit."""

    name: str


class User(Case):
    """The system user that the service runs as."""

    name: str
    group: str


class Option(Case):
    """One option that understudy sets; ``value`` is a template, None takes the option out."""

    group: str
    name: str
    value: str | None
    reason: str = ""
    when: str = ""
    """A template; the option is set only when it renders to ``true``."""


class OptionFile(Case):
    """A configuration file of the service, edited option by option."""

    path: str
    options_of: str = ""
    """The set of option metadata that says which options exist; empty: not checked."""
    dialect: Literal["oslo", "mysql"] = "oslo"
    owner: str = "root"
    group: str = "root"
    mode: int = 0o640
    options: tuple[Option, ...]


class OwnFile(Case):
    """A file that is wholly understudy's; ``text`` is a template."""

    path: str
    text: str
    owner: str = "root"
    group: str = "root"
    mode: int = 0o644


class Command(Case):
    """A command of the service's own, as an argument list of templates."""

    argv: tuple[str, ...]


class SchemaStep(Case):
    """Work on the service's database that is done once: ``table`` has rows when it was done."""

    table: str
    database: str = ""
    """Which of the service's databases the table is in; empty: the first one."""
    commands: tuple[Command, ...]
    environment: dict[str, str] = Field(default_factory=dict)
    """Environment variables to names of secrets."""


class ServiceDatabase(Model):
    """The databases of the service, which belong to one user, and what fills them."""

    name: str
    """Name of the database and of its user."""
    further: tuple[str, ...] = ()
    """Names of other databases of the same user."""
    schema_steps: tuple[SchemaStep, ...] = ()


class CatalogEndpoint(Case):
    """How the service appears in Keystone's catalogue."""

    service: str
    """Name of the service entry."""
    type: str
    """Type of the service entry."""
    path: str = ""
    """What follows the port in the URL."""


class Identity(Model):
    """The service's own user and its endpoints in Keystone."""

    user: str = ""
    """Name of the user that the service authenticates as; empty: none."""
    endpoints: tuple[CatalogEndpoint, ...] = ()


class Keys(Case):
    """A directory of keys that is the same on every node."""

    path: str
    create: tuple[str, ...]


class DataDirectory(Model):
    """The service's directory on shared storage."""

    directory: str
    """Name below the mount point."""
    mode: int = 0o750
    initialise: tuple[str, ...] = ()
    """Run once in the empty directory, a list of templates."""


class Parameter(Case):
    """A parameter of the resource agent; the value is a template."""

    name: str
    value: str
    when: str = ""


class Operation(Model):
    """An operation that Pacemaker runs; times in seconds."""

    name: str
    interval: int = 0
    timeout: int
    on_fail: OnFail | None = None
    role: Role | None = None
    check_level: int | None = None


class Copies(Model):
    """How Pacemaker runs a service on several nodes: the clone of its resource."""

    promotable: bool = False
    """Copies are promoted, and only a promoted one serves: the address is where one is."""
    meta: dict[str, str] = Field(default_factory=dict)
    """Meta attributes of the clone, as templates, above ``interleave``."""


class Resource(Model):
    """How Pacemaker runs the service."""

    agent: str
    copies: Copies = Copies()
    parameters: tuple[Parameter, ...] = ()
    operations: tuple[Operation, ...]
    meta: dict[str, str] = Field(default_factory=dict)


class Layer2(Model):
    """What others of the Networking service need to know of its layer-2 agent."""

    mechanism_driver: str
    """Its name for ML2, and of the driver with which the agents plug their ports."""
    tunnels: tuple[str, ...]
    """Types of tenant networks that it can tunnel."""


class ServiceEntry(Model):
    """One service of the catalog."""

    name: str
    title: str
    clients_miss: str = ""
    """What clients cannot do while it is away, for a person to read."""
    releases: str = ".."
    instead: str = ""
    """What to do in another release."""
    layer: Layer = "service"
    standby: tuple[Standby, ...]
    once: bool = False
    """It must never run twice, so that it waits for fencing."""
    needs: tuple[Need, ...] = ()
    provides: Need | None = None
    place: Place = "controllers"
    """The nodes that it runs on."""
    external_network: bool = False
    """Whether it serves routers, which need the external network."""
    answers_dhcp: bool = False
    """Whether it gives instances their addresses."""
    layer2: Layer2 | None = None
    """What it is to the other agents of the Networking service, for a layer-2 agent."""
    port: int | None = None
    tls: tuple[Case, ...] = ()
    """When the service can speak TLS itself; otherwise HAProxy has to do it."""
    tls_port: int | None = None
    """Its port when it speaks TLS, where that is another one."""
    renew: tuple[str, ...] = ()
    """A command, as an argument list, that has a running copy on a node read its certificates again, and succeeds where
    none runs. Without it a renewed certificate is a new parameter of the resource."""
    reached_at: Reach = "address"
    """Where clients find it: at its virtual address, or at the nodes' own addresses of all its copies."""
    least_nodes: int = 1
    """Fewest nodes on which it survives the loss of one."""
    scheme: tuple[Named, ...] = ()
    """How the URL of a message broker begins."""
    storage: Literal["required", "optional", "none"] = "none"
    user: tuple[User, ...] = ()
    packages: tuple[Named, ...] = ()
    units: tuple[Named, ...] = ()
    files: tuple[OptionFile, ...] = ()
    own_files: tuple[OwnFile, ...] = ()
    keys: tuple[Keys, ...] = ()
    data: DataDirectory | None = None
    database: ServiceDatabase | None = None
    identity: Identity | None = None
    socket: str = ""
    """The local socket of a database server."""
    resource: Resource
    agent: dict[str, Any] = Field(default_factory=dict)
    """Data for the resource agent of the ``openstack`` provider; its own documentation describes it."""
    by_standby: "dict[Standby, ServiceEntry]" = Field(default_factory=dict)
    """The whole entry for each way to stand by, where that changes more than the number of copies; around it is the
    one for the first way."""


class Catalog(Model):
    """All services and all shapes of a cluster that are known, by name."""

    services: dict[str, ServiceEntry]
    presets: dict[str, Preset] = Field(default_factory=dict)

    def entry(self, name: str, standby: Standby) -> ServiceEntry:
        """Return the entry of a service that stands by in this way; raises KeyError for an unknown name."""
        entry = self.services[name]
        return entry.by_standby.get(standby, entry)
