"""The things that must be true, one frozen class a kind.

An item says what must hold and why; the module of the same name in ``kinds`` knows how to look, compare and change.
Phases order the work: what a later phase needs, an earlier one has made.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import ClassVar, Literal

from understudy.formats.cluster import ClusterConfiguration
from understudy.secret import Secret

Interface = Literal["public", "internal", "admin"]


class Phase(IntEnum):
    """The order of an apply; everything of one phase is done before the next one begins."""

    PACKAGES = 10
    FILES = 20
    UNITS_OFF = 30
    MEMBERSHIP = 40
    FILESYSTEMS = 50
    CLUSTER_STORAGE = 60
    STORAGE_CONTENT = 65
    CLUSTER_DATA = 70
    DATABASES = 75
    SCHEMAS = 80
    CLUSTER_IDENTITY = 84
    IDENTITY = 86
    CLUSTER = 90
    RENEWALS = 94
    ENDPOINTS = 98


@dataclass(frozen=True, kw_only=True)
class Item:
    """One thing that must be true; ``key`` is unique in a design and stable between runs."""

    kind: ClassVar[str]
    phase: ClassVar[Phase]
    reason: str = ""

    @property
    def target(self) -> str:
        """Return the node it is about, or ``cluster``, ``database`` or ``identity``."""
        raise NotImplementedError

    @property
    def subject(self) -> str:
        """Return the name of the thing on its target: a path, a unit, a resource."""
        raise NotImplementedError

    @property
    def key(self) -> str:
        """Return the name that is unique in a design."""
        return f"{self.kind} {self.target} {self.subject}"

    @property
    def chain(self) -> str:
        """Return what the items of a phase have in common that must be made one after the other."""
        return self.key


@dataclass(frozen=True, kw_only=True)
class NodeItem(Item):
    """An item that lives on one node."""

    node: str

    @property
    def target(self) -> str:
        """Return the node."""
        return self.node

    @property
    def chain(self) -> str:
        """Return the node; files do not depend on each other, and what is asked at the same time travels together."""
        return self.key if self.phase == Phase.FILES else self.node


@dataclass(frozen=True, kw_only=True)
class Package(NodeItem):
    """A distribution package that must be installed."""

    kind: ClassVar[str] = "package"
    phase: ClassVar[Phase] = Phase.PACKAGES
    name: str

    @property
    def subject(self) -> str:
        """Return the package's name."""
        return self.name


@dataclass(frozen=True, kw_only=True)
class File(NodeItem):
    """A file that is wholly ours; parent directories are made with ``directory_mode``, owned by root."""

    kind: ClassVar[str] = "file"
    phase: ClassVar[Phase] = Phase.FILES
    path: str
    content: str | Secret
    owner: str = "root"
    group: str = "root"
    mode: int = 0o644
    directory_mode: int = 0o755

    @property
    def subject(self) -> str:
        """Return the path."""
        return self.path


@dataclass(frozen=True, kw_only=True)
class Directory(NodeItem):
    """A directory of root's that must be there."""

    kind: ClassVar[str] = "directory"
    phase: ClassVar[Phase] = Phase.FILES
    path: str
    mode: int = 0o755

    @property
    def subject(self) -> str:
        """Return the path."""
        return self.path


@dataclass(frozen=True, kw_only=True)
class Renewal(NodeItem):
    """A running service that has taken up its present certificates without a restart.

    ``command`` has it read them again, and succeeds where it does not run: it reads them when it starts. ``digest`` is
    of certificates and keys, cut so short that nothing about a key can be learned from it.
    """

    kind: ClassVar[str] = "renewal"
    phase: ClassVar[Phase] = Phase.RENEWALS
    service: str
    digest: str
    command: tuple[str, ...]

    @property
    def subject(self) -> str:
        """Return the name of the service."""
        return self.service


@dataclass(frozen=True)
class OptionValue:
    """One option of a configuration file: ``value`` None means that the option must not be set."""

    group: str
    name: str
    value: str | Secret | None
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Options(NodeItem):
    """Options in a file that an operator also edits: only these options are ours."""

    kind: ClassVar[str] = "options"
    phase: ClassVar[Phase] = Phase.FILES
    path: str
    options: tuple[OptionValue, ...]
    dialect: Literal["oslo", "mysql"] = "oslo"
    owner: str = "root"
    group: str = "root"
    mode: int = 0o640

    @property
    def subject(self) -> str:
        """Return the path."""
        return self.path


@dataclass(frozen=True, kw_only=True)
class Sysctl(NodeItem):
    """A kernel parameter, now and after a boot (``/etc/sysctl.d/60-understudy.conf``)."""

    kind: ClassVar[str] = "sysctl"
    phase: ClassVar[Phase] = Phase.FILES
    name: str
    value: str
    persistent: bool = True
    """False: our file must not name it, the value holds until the next boot."""

    @property
    def subject(self) -> str:
        """Return the parameter's name."""
        return self.name


@dataclass(frozen=True, kw_only=True)
class Unit(NodeItem):
    """A unit of the service manager: what Pacemaker manages must be disabled and stopped there."""

    kind: ClassVar[str] = "unit"
    phase: ClassVar[Phase] = Phase.UNITS_OFF
    name: str
    enabled: bool
    running: bool | None = None
    """None: leave as it is (a unit whose daemon Pacemaker runs already must not be stopped)."""

    @property
    def subject(self) -> str:
        """Return the unit's name."""
        return self.name


@dataclass(frozen=True, kw_only=True)
class KeyRepository(Item):
    """A directory of key files that must be the same on every node, such as Keystone's Fernet keys."""

    kind: ClassVar[str] = "key-repository"
    phase: ClassVar[Phase] = Phase.FILES
    path: str
    nodes: tuple[str, ...]
    owner: str
    group: str
    create: tuple[str, ...]
    """The command that makes the first keys, run on one node when no node has any."""

    @property
    def target(self) -> str:
        """Return all nodes."""
        return "cluster"

    @property
    def subject(self) -> str:
        """Return the path."""
        return self.path


@dataclass(frozen=True)
class TieBreakerCertificates:
    """What a node and the tie-breaker know each other by: its authority in PEM, the cluster's PKCS #12 in base64."""

    authority: str
    certificate: Secret


@dataclass(frozen=True, kw_only=True)
class Membership(Item):
    """Corosync's configuration and key, the same on all nodes, the daemons running, all nodes online, quorate."""

    kind: ClassVar[str] = "membership"
    phase: ClassVar[Phase] = Phase.MEMBERSHIP
    cluster_name: str
    nodes: tuple[str, ...]
    corosync_conf: str
    daemons: tuple[str, ...] = ("corosync", "pacemaker")
    """In the order in which they start."""
    tie_breaker: TieBreakerCertificates | None = field(default=None, repr=False)

    @property
    def target(self) -> str:
        """Return the cluster."""
        return "cluster"

    @property
    def subject(self) -> str:
        """Return the cluster's name."""
        return self.cluster_name


@dataclass(frozen=True, kw_only=True)
class SharedFilesystem(Item):
    """A file system on a block device that all nodes see; made only on a device that is blank."""

    kind: ClassVar[str] = "shared-filesystem"
    phase: ClassVar[Phase] = Phase.FILESYSTEMS
    name: str
    device: str
    filesystem: str
    nodes: tuple[str, ...]

    @property
    def target(self) -> str:
        """Return all nodes."""
        return "cluster"

    @property
    def subject(self) -> str:
        """Return the device."""
        return self.device


@dataclass(frozen=True, kw_only=True)
class ClusterResources(Item):
    """The Pacemaker configuration up to a stage: ``ready`` names resources that must run before going on."""

    kind: ClassVar[str] = "cluster-resources"
    stage: Phase
    stage_ids: frozenset[str]
    """The resources of this stage and the earlier ones."""
    configuration: ClusterConfiguration
    """The whole configuration, of all stages."""
    nodes: tuple[str, ...]
    ready: tuple[str, ...] = ()
    clients_of: Mapping[str, str] = field(default_factory=dict)
    """Resource id to the words for what its clients would miss."""

    @property
    def target(self) -> str:
        """Return the cluster."""
        return "cluster"

    @property
    def subject(self) -> str:
        """Return the stage."""
        return self.stage.name.lower().replace("_", "-")


def phase_of(item: Item) -> Phase:
    """Return when an item's turn is; cluster resources carry their stage themselves."""
    return item.stage if isinstance(item, ClusterResources) else item.phase


@dataclass(frozen=True, kw_only=True)
class SharedDirectory(Item):
    """A directory below the mount of a shared file system, made on the node where ``mounted_by`` runs."""

    kind: ClassVar[str] = "shared-directory"
    phase: ClassVar[Phase] = Phase.STORAGE_CONTENT
    path: str
    owner: str
    group: str
    mode: int
    mounted_by: str
    initialise: tuple[str, ...] = ()
    """A command run once in the empty directory, such as ``mariadb-install-db``."""

    @property
    def target(self) -> str:
        """Return the resource that mounts it."""
        return "cluster"

    @property
    def subject(self) -> str:
        """Return the path."""
        return self.path


@dataclass(frozen=True, kw_only=True)
class Database(Item):
    """A database with its user, made through the server's local socket where ``served_by`` runs."""

    kind: ClassVar[str] = "database"
    phase: ClassVar[Phase] = Phase.DATABASES
    name: str
    user: str
    password: Secret
    served_by: str
    socket: str

    @property
    def target(self) -> str:
        """Return the database service."""
        return "database"

    @property
    def subject(self) -> str:
        """Return the database's name."""
        return self.name


@dataclass(frozen=True, kw_only=True)
class Schema(Item):
    """The tables of a service's database: made by the service's own tool when the database is empty."""

    kind: ClassVar[str] = "schema"
    phase: ClassVar[Phase] = Phase.SCHEMAS
    service: str
    database: str
    table: str
    """A table whose presence and content show that the work was done."""
    commands: tuple[tuple[str, ...], ...]
    """Run one after the other as ``user`` on one node; ``environment`` may hold secrets."""
    user: str
    served_by: str
    socket: str
    environment: Mapping[str, Secret] = field(default_factory=dict)

    @property
    def target(self) -> str:
        """Return the database service."""
        return "database"

    @property
    def subject(self) -> str:
        """Return the service."""
        return f"{self.database}.{self.table}"

    @property
    def chain(self) -> str:
        """Return the project, whose databases need each other."""
        return self.user


@dataclass(frozen=True)
class IdentityAccess:
    """How to reach Keystone as administrator: ``url`` is its internal v3 URL.

    ``authority`` are certificates in PEM, one of which must have signed that of an ``https`` URL; empty: those that
    this machine trusts.
    """

    url: str
    user: str
    project: str
    password: Secret
    region: str
    authority: str = field(default="", repr=False)


@dataclass(frozen=True, kw_only=True)
class ServiceUser(Item):
    """A service's own user, with the role ``admin`` in the project of services."""

    kind: ClassVar[str] = "service-user"
    phase: ClassVar[Phase] = Phase.IDENTITY
    name: str
    project: str
    role: str
    password: Secret
    access: IdentityAccess

    @property
    def target(self) -> str:
        """Return Keystone."""
        return "identity"

    @property
    def subject(self) -> str:
        """Return the user's name."""
        return f"user {self.name}"


@dataclass(frozen=True, kw_only=True)
class Endpoint(Item):
    """One endpoint of the catalogue."""

    kind: ClassVar[str] = "endpoint"
    phase: ClassVar[Phase] = Phase.ENDPOINTS
    service_name: str
    service_type: str
    interface: Interface
    url: str
    access: IdentityAccess

    @property
    def target(self) -> str:
        """Return Keystone."""
        return "identity"

    @property
    def subject(self) -> str:
        """Return service type and interface."""
        return f"{self.service_type} {self.interface}"

    @property
    def chain(self) -> str:
        """Return the service type: the first of its endpoints brings the service entry."""
        return self.service_type
