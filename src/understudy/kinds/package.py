"""Kind package: a distribution package that must be installed."""

from collections.abc import Mapping, Sequence

from understudy.design.items import Item, Package
from understudy.hosts.parallel import all_of
from understudy.kinds.common import Irreversible, expect, items_of
from understudy.kinds.model import Change, Difference, World

INSTALL_SECONDS = 900


class PackageKind(Irreversible):
    """Installed packages; removing one is not ours to decide, others may need it by then."""

    name = Package.kind

    async def observe(self, world: World, items: Sequence[Item]) -> Mapping[str, object]:
        """Return each package's installed version."""
        wanted = items_of(items, Package)
        nodes = sorted({item.node for item in wanted})

        async def one(node: str) -> dict[str, str | None]:
            names = sorted({item.name for item in wanted if item.node == node})
            answer: dict[str, str | None] = await world.node(node).ask("read-packages", names=names)
            return answer

        versions = dict(zip(nodes, await all_of(one(node) for node in nodes), strict=True))
        return {item.key: {"installed": versions[item.node][item.name] is not None} for item in wanted}

    def compare(self, item: Item, observed: object) -> Change | None:
        """Return the installation of a package that is absent."""
        if isinstance(observed, Mapping) and observed["installed"]:
            return None
        return Change(item, (Difference("package", None, "installed"),), observed, reversible=False)

    async def apply(self, world: World, change: Change) -> None:
        """Install it, without a question and without what it merely recommends."""
        item = expect(change.item, Package)
        await world.node(item.node).ask(
            "install-packages", names=[item.name], limit=INSTALL_SECONDS * world.wait_factor
        )
