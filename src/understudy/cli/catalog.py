"""understudy catalog: what is known about services."""

from rich.table import Table

from understudy.catalog.load import load_catalog
from understudy.catalog.releases import release_range
from understudy.cli.console import out, print_json


def catalog(*, json: bool = False) -> int:
    """List the services that a spec may name.

    Parameters
    ----------
    json
        Print JSON.
    """
    entries = load_catalog().services.values()
    if json:
        print_json(
            [
                {
                    "name": entry.name,
                    "title": entry.title,
                    "releases": [release.name for release in release_range(entry.releases)],
                    "standby": list(entry.standby),
                    "once": entry.once,
                    "needs": list(entry.needs),
                    "provides": entry.provides,
                    "storage": entry.storage,
                    "port": entry.port,
                    "agent": entry.resource.agent,
                }
                for entry in entries
            ]
        )
        return 0
    table = Table("service", "what it is", "stands by", "needs", "releases", box=None, pad_edge=False)
    for entry in entries:
        releases = str(release_range(entry.releases))
        table.add_row(entry.name, entry.title, " ".join(entry.standby), " ".join(entry.needs), releases)
    out.print(table)
    return 0
