"""Make the committed option data of a release from what oslo-config-generator says.

    option_metadata.py generate --release 2025.1 --bin /path/to/venv/bin [--chroot DIR]
    option_metadata.py pack --release 2025.1 --from DIR

``generate`` runs the release's own ``oslo-config-generator --format json`` once a namespace (below ``--chroot`` when
that is given, ``--bin`` is then a path inside of it) into a folder, and packs it; ``pack`` packs such a folder again.
A folder holds ``<namespace>.json`` in the generator's form and ``index.json``, which says where each namespace comes
from. ``option_source.py`` writes the same form from source code, for releases that no longer install.

The result is one file a release, the same bytes for the same input.
"""

import argparse
import fnmatch
import json
import lzma
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

SETS = Path(__file__).with_name("option_sets.yaml")
DATA = Path(__file__).parent.parent / "src/understudy/catalog/releases/options"
PLUGINS = "keystoneauth1.plugins"
"""The set that holds the options of all authentication plugins, for every group that has ``auth_type``."""
LONGEST_DEFAULT = 60
TIMEOUT = 120

# Runs in the release's own interpreter: its namespaces with the package of each, and the plugins' options.
_PROBE = """
import json, sys
try:
    from importlib.metadata import distributions
    found = {}
    for dist in distributions():
        for point in dist.entry_points:
            if point.group == "oslo.config.opts":
                found[point.name] = dist.metadata["Name"] + " " + dist.version
except ImportError:
    import pkg_resources
    found = {point.name: point.dist.project_name + " " + point.dist.version
             for point in pkg_resources.iter_entry_points("oslo.config.opts")}
import keystoneauth1.loading as loading
options = {}
for name, loader in sorted(loading.get_available_plugin_loaders().items()):
    for option in loader.get_options():
        known = options.setdefault(option.dest, {
            "name": option.name, "dest": option.dest, "secret": False, "type": "string value", "deprecated_opts": []})
        known["secret"] = known["secret"] or option.secret
        if "password" in name:  # the old names of the other plugins mislead: [neutron] url is no endpoint
            known["deprecated_opts"] += [{"group": None, "name": old.dest} for old in option.deprecated]
json.dump({"namespaces": found, "plugins": [options[name] for name in sorted(options)]}, sys.stdout)
"""

Json = dict[str, Any]


def packed(option: Mapping[str, Any], group: str) -> Json:
    """Return what is kept of one option as the generator describes it; what is ordinary is left out."""
    kind = str(option["type"]).removesuffix(" value")
    default = (
        option.get("sample_default") if option.get("sample_default") is not None else option.get("default")
    )
    multi = kind == "multi valued" or (isinstance(default, list) and kind != "list")
    old_names = sorted(
        {
            (old["group"] or group, old["name"] or option["dest"])
            for old in option.get("deprecated_opts") or ()
        }
        - {(group, option["dest"])}
    )
    kept = {
        "type": {"string": None, "multi valued": None}.get(kind, kind),
        "default": default if _is_worth_keeping(default) else None,
        "choices": [str(choice[0]) for choice in option.get("choices") or () if choice[0] is not None],
        "min": option.get("min"),
        "max": option.get("max"),
        "multi": multi,
        "deprecated": [list(name) for name in old_names],
        "removal": option.get("deprecated_for_removal"),
        "secret": option.get("secret"),
        "mutable": option.get("mutable"),
    }
    return {
        key: value for key, value in kept.items() if value is not None and value != [] and value is not False
    } | ({"default": False} if default is False else {})


def _is_worth_keeping(default: object) -> bool:
    text = json.dumps(default, default=str)
    of_this_machine = "-packages" in text or sys.prefix in text or "/venv" in text
    return default not in (None, [], {}, "") and len(text) <= LONGEST_DEFAULT and not of_this_machine


def option_set(document: Mapping[str, Any], namespace: str) -> dict[str, dict[str, Json]]:
    """Return group -> name -> option for the options of one namespace in a generator document."""
    groups: dict[str, dict[str, Json]] = {}
    for group, content in document["options"].items():
        for option in content["opts"]:
            if option["namespace"] == namespace:
                groups.setdefault(group, {})[option["dest"]] = packed(option, group)
    return groups


def release_document(release: str, folder: Path) -> Json:
    """Return the data of a release from a folder of generator documents."""
    index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    recipes = YAML(typ="safe").load(SETS.read_text(encoding="utf-8"))
    services: Json = {}
    used: set[str] = set()
    for service, recipe in recipes.items():
        if not set(recipe["required"]) <= index["namespaces"].keys():
            continue
        names = [
            name
            for pattern in recipe["namespaces"]
            for name in sorted(_matching(index["namespaces"], pattern))
        ]
        names = list(dict.fromkeys([*recipe["required"], *names]))
        used |= {*names}
        services[service] = {
            "sets": [*names, PLUGINS],
            **{k: recipe[k] for k in ("dynamic", "reserved") if k in recipe},
        }
    sets: Json = {
        name: {**index["namespaces"][name], "options": option_set(_document(folder, name), name)}
        for name in sorted(used)
    }
    plugins = {"*": {option["dest"]: packed(option, "*") for option in index["plugins"]}}
    sets[PLUGINS] = {"kind": index["kind"], "from": index["plugins_from"], "options": plugins}
    return {"release": release, "services": services, "sets": sets}


def _matching(names: Iterable[str], pattern: str) -> list[str]:
    return [name for name in names if fnmatch.fnmatchcase(name, pattern)]


def _document(folder: Path, name: str) -> Json:
    document: Json = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    return document


def encoded(document: Mapping[str, Any]) -> bytes:
    """Return the file's bytes: JSON with sorted keys, compressed; the same for the same document."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=str)
    return lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME)


def pack(release: str, folder: Path, target: Path) -> None:
    """Write the data of a release."""
    document = release_document(release, folder)
    content = encoded(document)
    target.mkdir(parents=True, exist_ok=True)
    (target / f"{release}.json.xz").write_bytes(content)
    count = sum(len(options) for found in document["sets"].values() for options in found["options"].values())
    print(f"{release}: {len(document['services'])} services, {count} options, {len(content)} bytes")


def generate(folder: Path, bin_folder: str, chroot: Path | None) -> None:
    """Run the generator for every namespace that the recipes name and the installation has."""
    prefix = ["chroot", str(chroot)] if chroot else []
    probe = json.loads(_output([*prefix, f"{bin_folder}/python3", "-c", _PROBE]))
    recipes = YAML(typ="safe").load(SETS.read_text(encoding="utf-8"))
    wanted = [
        pattern for recipe in recipes.values() for pattern in (*recipe["required"], *recipe["namespaces"])
    ]
    names = sorted({name for pattern in wanted for name in _matching(probe["namespaces"], pattern)})
    folder.mkdir(parents=True, exist_ok=True)
    done = {}
    for name in names:
        # Some namespaces (os_brick) set defaults that follow an option of oslo.concurrency.
        spaces = [
            word for space in dict.fromkeys([name, "oslo.concurrency"]) for word in ("--namespace", space)
        ]
        command = [*prefix, f"{bin_folder}/oslo-config-generator", *spaces, "--format", "json"]
        try:
            text = _output(command)
        except subprocess.SubprocessError as error:
            print(f"{name} left out: {error}", file=sys.stderr)
            continue
        (folder / f"{name}.json").write_text(text, encoding="utf-8")
        done[name] = {"kind": "generator", "from": probe["namespaces"][name]}
    index = {
        "kind": "generator",
        "namespaces": done,
        "plugins": probe["plugins"],
        "plugins_from": "keystoneauth1",
    }
    (folder / "index.json").write_text(json.dumps(index, sort_keys=True, indent=1), encoding="utf-8")


def _output(command: list[str]) -> str:
    environment = {"LC_ALL": "C", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/nonexistent"}
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=TIMEOUT, env=environment
    )
    if done.returncode:
        print(done.stderr[-2000:], file=sys.stderr)
        done.check_returncode()
    return done.stdout


def main() -> None:
    """Read the command line and do it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("generate", "pack"):
        command = commands.add_parser(name)
        command.add_argument("--release", required=True)
        command.add_argument("--from", dest="folder", type=Path, required=name == "pack")
        command.add_argument("--into", type=Path, default=DATA)
    commands.choices["generate"].add_argument("--bin", dest="bin_folder", default="/usr/bin")
    commands.choices["generate"].add_argument("--chroot", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = asked.folder or Path(scratch)
        if asked.command == "generate":
            generate(folder, asked.bin_folder, asked.chroot)
        pack(asked.release, folder, asked.into)


if __name__ == "__main__":
    main()
