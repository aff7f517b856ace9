"""What a resource stands on: the storage and addresses it shares a node with, and its own service's other processes.

An order alone is not enough: an API that is restarted because a database elsewhere was restarted does not stand on it.
"""

import re
from functools import cached_property

from understudy.proof.configuration import Configuration, Resource
from understudy.proof.values import INFINITY

FOUNDATION_AGENTS = re.compile(
    r"^(IPaddr.*|IPv6addr|virtual-address|Filesystem|LVM.*|lvmlockd|clvm|drbd|controld|iSCSI.*|Raid1|exportfs|zpool|ZFS|SAP.*|"
    r"sbd|nfsserver|vg|mdraid|rbd|gfs2|o2cb|remote|aws-vpc.*|gcp-vpc.*|azure-lb|ethmonitor|ping|pingd|storage-mon)$"
)
DATA_AGENTS = re.compile(
    r"(mysql|mariadb|galera|pgsql|postgres|rabbitmq|oracle|db2|mongod|redis|db)", re.IGNORECASE
)
STORAGE_AGENTS = ("Filesystem", "LVM-activate", "LVM")


def family(item: Resource) -> str:
    """Return the service that a process belongs to, by the first word of its agent: glance-api is of glance."""
    words = [
        word for word in re.split(r"[-_@.]", item.type.lower()) if word not in ("openstack", "httpd", "")
    ]
    return words[0] if words else item.type.lower()


class Kinship:
    """Who stands on whom in one configuration."""

    def __init__(self, facts: Configuration) -> None:
        self.facts = facts

    @cached_property
    def together(self) -> dict[str, set[str]]:
        """Return for each primitive the primitives it must share a node with."""
        facts = self.facts
        near: dict[str, set[str]] = {item.id: set() for item in facts.primitives()}
        for item in facts.resources.values():
            if item.kind == "group":
                for index, member in enumerate(item.children):
                    near.setdefault(member, set()).update(item.children[:index])
        for rule in facts.colocations:
            if rule.score >= INFINITY:
                for one in facts.primitives(rule.resource):
                    near[one.id].update(two.id for two in facts.primitives(rule.with_resource))
        return near

    @cached_property
    def stands_on(self) -> dict[str, frozenset[str]]:
        """Return for each primitive what its running rests on, transitively."""
        facts = self.facts
        direct: dict[str, set[str]] = {}
        for name, near in self.together.items():
            item = facts.resources[name]
            direct[name] = {
                other
                for other in near
                if FOUNDATION_AGENTS.match(facts.resources[other].type)
                or family(item) == family(facts.resources[other])
                or item.address
            }
        closed: dict[str, frozenset[str]] = {}
        for name in direct:
            found, todo = set(), [name]
            while todo:
                for other in direct.get(todo.pop(), ()):
                    if other not in found:
                        found.add(other)
                        todo.append(other)
            closed[name] = frozenset(found - {name})
        return closed

    def due(self, name: str, node: str, hit: frozenset[tuple[str, str]], struck: frozenset[str]) -> bool:
        """Tell whether stopping this resource there is what the fault asks for."""
        base = name.partition(":")[0]
        item = self.facts.resources.get(base)
        if item is None or node in struck:
            return True
        stands = self.stands_on.get(base, frozenset())
        foundation = bool(FOUNDATION_AGENTS.match(item.type))
        for failed, where in hit:
            other = failed.partition(":")[0]
            if where != node or other not in self.facts.resources:
                continue
            if failed == name or other in (base, *stands):
                return True
            # The storage, the address and the kin that the failed one stands on have to move with it.
            kin = family(item) == family(self.facts.resources[other])
            if (foundation or kin) and base in self.stands_on.get(other, ()):
                return True
        return False
