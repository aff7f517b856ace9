"""From a spec to the lab that rehearses it (pure)."""

from dataclasses import replace

from understudy.catalog.releases import Release
from understudy.findings import Finding, FindingsError
from understudy.lab.image import Recipe, recipe_for
from understudy.lab.topology import BMC_SYSTEM, LabDisk, LabNode, LabTopology
from understudy.spec.load import LoadedSpec
from understudy.spec.model import Spec

DISK_BYTES = 2 * 1024**3


def topology_of(spec: Spec) -> LabTopology:
    """Return the machines, networks and disks of a spec: the same names and the same addresses."""
    redfish = spec.fencing.redfish if spec.fencing else None
    device = (redfish or spec.fencing.ipmi) if spec.fencing else None
    nodes = {}
    for name, addresses in spec.nodes.items():
        legs = {network: str(address) for network, address in addresses.items()}
        bmc = legs.pop(device.network) if device else None
        nodes[name] = LabNode(
            addresses=legs,
            bmc_network=device.network if device else None,
            bmc_address=bmc,
            bmc_user=(device.user or "admin") if device else "admin",
            bmc_system=(redfish.systems_uri if redfish else None) or BMC_SYSTEM,
        )
    return LabTopology(
        name=spec.cloud,
        networks={name: str(network) for name, network in spec.networks.items()},
        nodes=nodes,
        disks={storage.device: LabDisk(DISK_BYTES) for storage in spec.storage.values()},
        reserved=tuple(str(a) for virtual in spec.addresses.values() for a in virtual.sides().values()),
    )


def recipe_of(loaded: LoadedSpec, release: Release) -> Recipe:
    """Return the image that a spec's nodes start from.

    Raises FindingsError (exit status 2) when the lab cannot have it, such as a release that the distribution does not
    carry, or fencing that the lab cannot emulate.
    """
    if loaded.spec.fencing is not None and loaded.spec.fencing.ipmi is not None:
        raise FindingsError([Finding("lab-without-ipmi", place=loaded.places.key("fencing", "ipmi"))])
    try:
        return recipe_for(loaded.spec.distribution, release.name)
    except FindingsError as error:
        place = loaded.places.value("release")
        raise FindingsError([replace(finding, place=place) for finding in error.findings]) from error
