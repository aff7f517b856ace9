"""Configurations by chance: groups, primitives and clones with whatever decides where they run."""

import random
from collections.abc import Mapping

from lxml import etree

NODES = ("n1", "n2", "n3")
AGENTS = ("IPaddr2", "Filesystem", "Dummy", "mariadb")


class Cluster:
    """A CIB drawn with one seed."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)  # noqa: S311 - the same cluster each time
        self.cib = etree.Element(
            "cib",
            {
                "crm_feature_set": "3.16.1",
                "validate-with": "pacemaker-3.9",
                "epoch": "1",
                "num_updates": "0",
                "admin_epoch": "0",
            },
        )
        configuration = etree.SubElement(self.cib, "configuration")
        parts = ("crm_config", "nodes", "resources", "constraints", "rsc_defaults")
        self.parts = {name: etree.SubElement(configuration, name) for name in parts}
        etree.SubElement(self.cib, "status")
        self._options()
        for number, name in enumerate(NODES, 1):
            etree.SubElement(self.parts["nodes"], "node", id=str(number), uname=name)
        self.roots = [*self._groups(), *self._primitives(), *self._clones()]
        self._fencing()
        self._constraints()

    def _some(self, values: Mapping[str, tuple[str, ...]], share: float) -> dict[str, str]:
        return {
            name: self.chance.choice(choices)
            for name, choices in values.items()
            if self.chance.random() < share
        }

    @staticmethod
    def _set(parent: etree._Element, tag: str, name: str, values: dict[str, str]) -> None:
        if values:
            block = etree.Element(tag, id=f"{name}-{tag}")
            for key, value in values.items():
                etree.SubElement(block, "nvpair", id=f"{name}-{key}", name=key, value=value)
            parent.insert(0, block)

    def _options(self) -> None:
        options = {"stonith-enabled": "true", "no-quorum-policy": "stop"}
        options |= self._some(
            {"start-failure-is-fatal": ("false",), "placement-strategy": ("balanced",)}, 0.1
        )
        self._set(self.parts["crm_config"], "cluster_property_set", "options", options)
        defaults = {
            "resource-stickiness": ("0", "1", "100", "INFINITY"),
            "migration-threshold": ("1", "2", "3"),
            "failure-timeout": ("600s",),
        }
        self._set(self.parts["rsc_defaults"], "meta_attributes", "defaults", self._some(defaults, 0.6))

    def _primitive(self, parent: etree._Element, name: str, agent: str) -> None:
        element = etree.SubElement(
            parent, "primitive", {"id": name, "class": "ocf", "provider": "heartbeat", "type": agent}
        )
        operations = etree.SubElement(element, "operations")
        for task, interval in (("monitor", "10s"), ("start", "0s"), ("stop", "0s")):
            about = {"id": f"{name}-{task}", "name": task, "interval": interval, "timeout": "20s"}
            about |= self._some({"on-fail": ("restart", "fence", "block", "standby")}, 0.04)
            etree.SubElement(operations, "op", about)
        odd = {"resource-stickiness": ("50",), "migration-threshold": ("1", "2"), "priority": ("10",)}
        self._set(element, "meta_attributes", name, self._some(odd, 0.05))

    def _groups(self) -> list[str]:
        names = [f"g{number}" for number in range(self.chance.randint(1, 3))]
        for name in names:
            group = etree.SubElement(self.parts["resources"], "group", id=name)
            for number in range(self.chance.randint(1, 4)):
                self._primitive(group, f"{name}m{number}", self.chance.choice(AGENTS))
            odd = {"ordered": ("false",), "collocated": ("false",), "migration-threshold": ("2",)}
            self._set(group, "meta_attributes", name, self._some(odd, 0.06))
        return names

    def _primitives(self) -> list[str]:
        names = [f"p{number}" for number in range(self.chance.randint(1, 3))]
        for name in names:
            self._primitive(self.parts["resources"], name, self.chance.choice(AGENTS))
        return names

    def _clones(self) -> list[str]:
        names = [f"c{number}" for number in range(self.chance.randint(0, 2))]
        for name in names:
            clone = etree.SubElement(self.parts["resources"], "clone", id=name)
            self._primitive(clone, f"{name}p", "Dummy")
            self._set(clone, "meta_attributes", name, {"interleave": self.chance.choice(("true", "false"))})
        return names

    def _fencing(self) -> None:
        for node in NODES:
            name = f"fence-{node}"
            about = {"id": name, "class": "stonith", "type": "fence_dummy"}
            etree.SubElement(self.parts["resources"], "primitive", about)
            place = {"id": f"not-{name}", "rsc": name, "node": node, "score": "-INFINITY"}
            etree.SubElement(self.parts["constraints"], "rsc_location", place)

    def _constraints(self) -> None:
        pairs = [(one, two) for index, one in enumerate(self.roots) for two in self.roots[index + 1 :]]
        for number, (one, two) in enumerate(self.chance.sample(pairs, min(len(pairs), 4))):
            kind = self.chance.choice(("order", "near", "place", "none"))
            if kind == "order":
                about = {"first": one, "then": two, "kind": self.chance.choice(("Optional", "Mandatory"))}
                etree.SubElement(self.parts["constraints"], "rsc_order", {"id": f"x{number}", **about})
            elif kind == "near":
                score = self.chance.choice(("INFINITY", "100", "-100"))
                about = {"rsc": two, "with-rsc": one, "score": score}
                etree.SubElement(self.parts["constraints"], "rsc_colocation", {"id": f"x{number}", **about})
            elif kind == "place":
                score = self.chance.choice(("100", "-50", "-INFINITY"))
                about = {"rsc": one, "node": self.chance.choice(NODES), "score": score}
                etree.SubElement(self.parts["constraints"], "rsc_location", {"id": f"x{number}", **about})
