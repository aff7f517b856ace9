"""The spec: what the operator writes, one YAML file.

Every class forbids unknown keys, so that a misspelt one is found. What needs more than one value to judge
stands in ``spec.check``.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

SPEC_VERSION = 1

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
HostName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,61}[A-Za-z0-9])?$")]
AbsolutePath = Annotated[str, StringConstraints(pattern=r"^/\S*$")]
MountOption = Annotated[str, StringConstraints(pattern=r"^[^,\s]+$")]
Interface = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,14}$")]
Amount = Annotated[int, Field(ge=0, le=1_000_000)]
Scalar = str | int | float | bool
Standby = Literal["cold", "warm", "balanced", "clustered"]
Preset = Literal["independent", "guide"]


class Model(BaseModel):
    """Frozen, without unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class SecretReference(Model):
    """Where a secret is: exactly one of a file, an environment variable or a command's output."""

    file: str | None = None
    """Path of a file holding the secret; relative to the spec's folder."""
    environment: str | None = None
    """Name of an environment variable holding the secret."""
    command: tuple[str, ...] | None = None
    """A command and its arguments; its standard output, without the final newline, is the secret."""

    @model_validator(mode="after")
    def _exactly_one(self) -> "SecretReference":
        if sum(part is not None for part in (self.file, self.environment, self.command)) != 1:
            raise ValueError("give exactly one of file, environment and command")
        return self


class Redfish(Model):
    """Fencing by the node's board controller through Redfish (``stonith:fence_redfish``)."""

    user: str | None = None
    """Name of the account on the board controller."""
    password: SecretReference | None = None
    """Where the password of that account is."""
    network: Name = "bmc"
    """The network on which each node's board controller has its address."""
    systems_uri: str | None = None
    """Path of the system below the controller, such as ``/redfish/v1/Systems/1``; found by itself when there is one."""
    verify_certificate: bool = False
    """Whether the controller's certificate must be one that the nodes trust."""


class Ipmi(Model):
    """Fencing by the node's board controller through IPMI over LAN (``stonith:fence_ipmilan``)."""

    user: str | None = None
    """Name of the account on the board controller."""
    password: SecretReference | None = None
    """Where the password of that account is."""
    network: Name = "bmc"
    """The network on which each node's board controller has its address."""


class Fencing(Model):
    """How a node that may still be running is made sure to be off."""

    redfish: Redfish | None = None
    """Fence through Redfish."""
    ipmi: Ipmi | None = None
    """Fence through IPMI over LAN."""
    none: Literal["data may be lost"] | None = None
    """To run without fencing, write the words: ``none: data may be lost``."""


class TieBreaker(Model):
    """A quorum device: a third party that gives one half of an even cluster its vote (corosync-qnetd)."""

    host: HostName
    """Name or address of the machine that runs corosync-qnetd."""
    algorithm: Literal["ffsplit", "lms"] = "ffsplit"
    """How the vote is given; see corosync-qdevice(8)."""
    authority: str | None = None
    """File of the authority's certificate, ``qnetd-cacert.crt`` of that machine; relative to the spec's folder."""
    certificate: SecretReference | None = None
    """Where the cluster's certificate and key are: ``qdevice-net-node.p12`` in base64."""

    @model_validator(mode="after")
    def _both(self) -> "TieBreaker":
        if (self.authority is None) != (self.certificate is None):
            raise ValueError("give both authority and certificate, or neither")
        return self


class Quorum(Model):
    """Who may go on when the nodes cannot all see each other."""

    tie_breaker: TieBreaker | None = None
    """Needed with an even number of nodes above two."""


class Corosync(Model):
    """Membership: how fast a silent node is declared dead, and over which networks."""

    token: int | None = Field(default=None, ge=300, le=60000)
    """Milliseconds without a sign of life after which a node counts as lost; agreeing takes 1.2 times as long again.
    Without it what the preset says: 1000, and 10000 in the guides."""
    links: tuple[Name, ...] = ("management",)
    """Networks that carry the cluster's messages; the second one is used when the first fails."""


class Ssh(Model):
    """How understudy logs in on a node."""

    user: str | None = None
    """Login; without one, what ssh would use. Other than root needs sudo without a password."""
    port: int | None = Field(default=None, ge=1, le=65535)
    """TCP port of the SSH server; without one, what ssh would use."""
    network: Name = "management"
    """The network on whose addresses the nodes are reached."""
    identity: str | None = None
    """Private key; without one, what ssh would use."""
    known_hosts: str | None = None
    """File of host keys; without one, what ssh would use."""


class VirtualAddress(Model):
    """An address that follows a service; at least one side."""

    internal: Address | None = None
    """The side for the other services, in the network ``management``."""
    public: Address | None = None
    """The side for users, in the network ``public``."""

    @model_validator(mode="after")
    def _one_side(self) -> "VirtualAddress":
        if self.internal is None and self.public is None:
            raise ValueError("give an internal address, a public one, or both")
        return self

    def sides(self) -> dict[str, Address]:
        """Return the sides that exist, internal first."""
        both = {"internal": self.internal, "public": self.public}
        return {side: address for side, address in both.items() if address is not None}


class Storage(Model):
    """A block device that every node sees, with a file system mounted on one node at a time."""

    device: AbsolutePath
    """Path of the device, the same on every node."""
    filesystem: Literal["xfs", "ext4"] = "xfs"
    """Made only when the device is blank."""
    mount_options: tuple[MountOption, ...] = ("sync",)
    """Options of mount(8). With ``sync`` what a service has acknowledged survives a power loss: services such as
    Glance do not flush what they store themselves."""


class Service(Model):
    """A service of the catalog."""

    standby: Standby = "cold"
    """``cold``: one copy, started where its address is; ``warm``: a copy everywhere, the address at a healthy one;
    ``balanced``: HAProxy in front of all copies; ``clustered``: copies everywhere that keep each other's data."""
    address: Name | None = None
    """The virtual address behind which clients find it."""
    storage: Name | None = None
    """The shared storage that holds its data."""
    workers: int | None = Field(default=None, ge=1, le=512)
    """Worker processes of one copy; without it what the service's own configuration says."""
    load: dict[Name, Amount] = Field(default_factory=dict)
    """What one copy of it takes of a node's ``capacity``, by the same names and in the same units."""
    options: dict[str, dict[str, Scalar]] = Field(default_factory=dict)
    """Further options for its configuration: group, name, value."""


class ExternalNetwork(Model):
    """The way out of the cloud, which routers have a leg in."""

    interface: Interface
    """The interface of each network node in it. Nothing else should use it: its address moves onto a bridge."""
    label: Name = "external"
    """What the Networking API calls it (``--provider-physical-network``)."""


class TenantNetworks(Model):
    """The networks that tenants make for themselves."""

    type: Literal["vxlan", "gre", "flat"] = "vxlan"
    """``vxlan`` and ``gre`` are tunnels; with ``flat`` tenants share the networks that an administrator makes."""
    over: Name = "management"
    """The network that carries the tunnels."""
    identifiers: Annotated[str, StringConstraints(pattern=r"^[0-9]+:[0-9]+$")] = "1:1000"
    """First and last tunnel identifier; each tenant network takes one."""


class Networking(Model):
    """How the tenants' networks are carried: by the agents of Neutron on the network nodes."""

    nodes: tuple[HostName, ...] | None = None
    """The network nodes; without it all nodes."""
    host: HostName | None = None
    """The name under which Neutron knows the agents that run once (``standby: cold``), wherever they are; by default
    the cloud's. Agents that run everywhere (``standby: warm``) go by their node's name."""
    grouped: bool = False
    """Whether the agents that run once are one group, started one after the other. Otherwise they are separate
    resources, so that one that fails takes no other along."""
    l3_ha: bool = False
    """Whether each router is on several network nodes, one of them active (VRRP); needs L3 agents everywhere."""
    automatic_rescheduling: bool = False
    """Whether Neutron gives routers and networks of an agent that it no longer hears to another one."""
    dhcp_agents_per_network: int = Field(default=1, ge=1, le=16)
    """How many DHCP agents answer in each network."""
    external: ExternalNetwork | None = None
    """The external network; routers need it."""
    tenant: TenantNetworks = TenantNetworks()
    """The tenants' own networks."""
    metadata: Address | None = None
    """Where instances' metadata comes from (port 8775); without it the Compute API of this spec."""


class CertificateFiles(Model):
    """Where a certificate and its key are."""

    certificate: str
    """A file in PEM, relative to the spec's folder; after it may stand those between it and the authority."""
    key: SecretReference
    """Where its key is, in PEM and without a passphrase."""


class AddressCertificates(Model):
    """The certificate of a virtual address, or one for each of its sides."""

    certificate: str | None = None
    """The certificate of both sides; without it the file ``tls-ADDRESS.pem`` in the folder of the secrets."""
    key: SecretReference | None = None
    """Its key; without it the file ``tls-ADDRESS.key`` in the folder of the secrets."""
    internal: CertificateFiles | None = None
    """The certificate of the internal side, where it is another one."""
    public: CertificateFiles | None = None
    """The certificate of the public side, where it is another one."""


class Tls(Model):
    """TLS on every address: in HAProxy where it is among the services, in the service itself where it is not."""

    internal_ca: bool = False
    """Whether ``understudy secrets --generate`` makes an authority of the site's own and the certificates."""
    authority: str | None = None
    """A file in PEM, relative to the spec's folder, of the authorities that the services trust. Without it that of
    ``internal_ca``, else those that the nodes trust anyway."""
    warn_days: int = Field(default=30, ge=1, le=3650)
    """Days before its expiry from which on a certificate is warned about."""
    certificates: dict[Name, AddressCertificates] = Field(default_factory=dict)
    """Certificates by virtual address, where they are not in the folder of the secrets."""


class Acceptance(Model):
    """A finding of the proof that is expected."""

    code: Name
    """Code of the finding."""
    reason: Annotated[str, StringConstraints(min_length=1)]
    """Why it is acceptable; shown with every proof."""


class Secrets(BaseModel):
    """Where the secrets are that services need, by name."""

    model_config = ConfigDict(extra="allow", frozen=True, use_attribute_docstrings=True)
    __pydantic_extra__: dict[str, SecretReference]

    directory: str = "secrets"
    """A folder, relative to the spec's own, with one file for each secret that is not named here."""


class Spec(Model):
    """What should be highly available."""

    understudy: int
    """Version of this format: 1."""
    cloud: Name
    """Name of the cloud; also the cluster's name."""
    release: str
    """OpenStack release, such as ``zed`` or ``2025.1``."""
    distribution: str = "debian"
    """Distribution of the nodes."""
    region: str = "RegionOne"
    """Keystone region of the endpoints."""
    preset: Preset = "independent"
    """Shape of the cluster's configuration. ``independent``: each service for itself; ``guide``: the groups, orders and
    times of the high availability guides, to compare with."""
    networks: dict[Name, Network] = Field(min_length=1)
    """Networks by name, as prefixes; ``management`` must be among them."""
    nodes: dict[HostName, dict[Name, Address]] = Field(min_length=1)
    """Controllers by host name, with their address on each network."""
    capacity: dict[HostName, dict[Name, Amount]] = Field(default_factory=dict)
    """What each node can carry, by names and in units of your own, such as ``memory`` in GiB. Pacemaker then starts a
    service only where its ``load`` fits, and the proof says whether the survivors of a failure can carry all of it."""
    fencing: Fencing | None = None
    """How a lost node is made sure to be off."""
    quorum: Quorum = Quorum()
    """Who may go on when the nodes cannot all see each other."""
    corosync: Corosync = Corosync()
    """Cluster membership."""
    ssh: Ssh = Ssh()
    """How the nodes are reached."""
    addresses: dict[Name, VirtualAddress] = Field(default_factory=dict)
    """Virtual addresses by name."""
    storage: dict[Name, Storage] = Field(default_factory=dict)
    """Shared storage by name."""
    networking: Networking | None = None
    """How the tenants' networks are carried."""
    tls: Tls | None = None
    """TLS on every address; without it, everything is spoken in clear."""
    accept: tuple[Acceptance, ...] = ()
    """What the proof may find without failing."""
    secrets: Secrets = Secrets()
    """Where secrets are."""
    services: dict[str, Service] = Field(min_length=1)
    """Services of the catalog, by their names there."""
