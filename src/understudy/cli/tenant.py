"""A tenant of the cloud in a lab: what its networks are, from the spec."""

from ipaddress import ip_address, ip_network

from understudy.cli.inputs import Input
from understudy.findings import Finding, FindingsError
from understudy.lab.client import Lab
from understudy.lab.tenant import Api, Shape, Tenant
from understudy.lab.topology import wire
from understudy.spec.model import ExternalNetwork, Networking
from understudy.spec.tls import AUTHORITY, has_authority, pem

IDENTITY, NETWORKING = "keystone", "neutron-server"
LAYER2 = "neutron-linuxbridge-agent"


def tenant_of(given: Input, lab: Lab) -> Tenant:
    """Return the tenant that the cloud in a lab may have, with whoever answers for its machine's metadata.

    Raises FindingsError ``lab-tenant-does-not-fit`` where a machine cannot stand in the tenants' networks, LabError.
    """
    networking, external = _networking(given)
    cloud, spec = given.cloud(), given.loaded.spec
    name = _network_of(external, networking, lab)
    shape = Shape(
        external=str(spec.networks[name]),
        outside=wire(lab.topology).bridges[name].own,
        label=external.label,
        tunnels_over=networking.tenant.over,
        highly_available=networking.l3_ha,
    )
    authority = lab.folder.path / pem(AUTHORITY) if has_authority(spec) else None
    if authority is not None:
        authority.write_text(given.secrets[pem(AUTHORITY)].reveal(), encoding="utf-8")
    urls = {service: cloud.url(service, "public") for service in (IDENTITY, NETWORKING)}
    password = given.secrets["identity-admin"].reveal()
    api = Api(lab, f"{urls[IDENTITY]}/v3", urls[NETWORKING], password, authority)
    if networking.metadata is not None:
        where = _network_with(str(networking.metadata), given)
        lab.serve_metadata(str(networking.metadata), where, given.secrets["metadata"].reveal())
    return Tenant(lab, api, shape, serves_metadata=networking.metadata is not None)


def _networking(given: Input) -> tuple[Networking, ExternalNetwork]:
    """Return what the spec says of the tenants' networks, where a machine can stand in them."""
    spec = given.loaded.spec
    networking = spec.networking
    missing = [name for name in (IDENTITY, NETWORKING, LAYER2) if name not in spec.services]
    if missing:
        raise _does_not_fit(f"{', '.join(missing)} among the services")
    if networking is None or networking.external is None:
        raise _does_not_fit("'networking' with an 'external' network")
    if networking.tenant.type != "vxlan":
        raise _does_not_fit("tenants' networks of the type vxlan")
    return networking, networking.external


def _does_not_fit(needed: str) -> FindingsError:
    return FindingsError([Finding("lab-tenant-does-not-fit", values={"needed": needed})])


def _network_of(external: ExternalNetwork, networking: Networking, lab: Lab) -> str:
    """Return the lab's network that the network nodes' external interface is in."""
    node = (networking.nodes or tuple(lab.topology.nodes))[0]
    for one in wire(lab.topology).interfaces[node]:
        if one.name == external.interface:
            return one.network
    raise _does_not_fit(f"an interface {external.interface} of {node} in the lab")


def _network_with(address: str, given: Input) -> str:
    for name, prefix in given.loaded.spec.networks.items():
        if ip_address(address) in ip_network(str(prefix)):
            return name
    raise _does_not_fit(f"a network with the metadata's address {address}")
