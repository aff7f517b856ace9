"""Reading the catalog from the package: one YAML file a service.

Services of one project share an option file, a database and a user; ``projects/`` holds that once, and a service takes
it over by naming its ``project``. Options that all projects set alike stand in ``projects/common.yaml``, each list
under a name that a file of a project or service gives in ``include``. What is different for one way to stand by stands
under ``by_standby`` and is laid over the rest in the same way.
"""

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from ruamel.yaml import YAML

from understudy.catalog.model import Catalog, ServiceEntry

COMMON = "common"


@cache
def load_catalog() -> Catalog:
    """Return every service and every preset of the catalog, by name."""
    projects = _read("projects")
    common = projects.pop(COMMON)
    entries = {}
    for data in _read("services").values():
        if "resource" not in data:
            continue
        project = data.pop("project", None)
        variants = data.pop("by_standby", {})
        base = _merged(projects[project], data) if project else data
        ways = {way: _complete(_merged(base, variants.get(way, {})), common) for way in base["standby"]}
        whole = next(iter(ways.values()))
        if variants:
            whole = {**whole, "by_standby": ways}
        entry = ServiceEntry.model_validate(whole)
        entries[entry.name] = entry
    presets = YAML(typ="safe").load(
        (resources.files(__package__) / "presets.yaml").read_text(encoding="utf-8")
    )
    return Catalog.model_validate({"services": entries, "presets": presets})


def _read(folder: str) -> dict[str, Any]:
    files = sorted((resources.files(__package__) / folder).iterdir(), key=lambda item: item.name)
    return {
        file.name.removesuffix(".yaml"): YAML(typ="safe").load(file.read_text(encoding="utf-8"))
        for file in files
        if file.name.endswith(".yaml")
    }


def _merged(project: Mapping[str, Any], service: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the project says and, on top, what the service says; lists one behind the other."""
    merged = _deeply_merged(project, service)
    merged["files"] = _files(merged.get("files", ()))
    return merged


def _deeply_merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**below, **above}
    for key in below.keys() & above.keys():
        if isinstance(below[key], Mapping):
            merged[key] = _deeply_merged(below[key], above[key])
        elif isinstance(below[key], list):
            merged[key] = [*below[key], *above[key]]
    return merged


def _files(files: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the files with the options of one path, range of releases and set of metadata together.

    A file without a set of its own takes that of the file before it with the same path.
    """
    together: dict[tuple[str, str, str], dict[str, Any]] = {}
    sets: dict[tuple[str, str], str] = {}
    for file in files:
        spot = (file["path"], file.get("releases", ""))
        options_of = sets.setdefault(spot, file.get("options_of", ""))
        options_of = file.get("options_of", options_of)
        known = together.setdefault((*spot, options_of), {**file, "options": [], "include": []})
        for key in ("options", "include"):
            known[key] = [*known[key], *file.get(key, ())]
    return list(together.values())


def _complete(data: Mapping[str, Any], common: Mapping[str, list[Any]]) -> dict[str, Any]:
    return {**data, "files": [_included(file, common) for file in data.get("files", ())]}


def _included(file: Mapping[str, Any], common: Mapping[str, list[Any]]) -> dict[str, Any]:
    included = [option for name in file.get("include", ()) for option in common[name]]
    rest = {key: value for key, value in file.items() if key != "include"}
    return {**rest, "options": [*included, *file.get("options", ())]}
