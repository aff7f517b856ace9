"""The tool keeps what matters of the generator's output, and writes the same bytes for the same input."""

import json
import lzma
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]


def opt(name: str, kind: str = "string value", **more: object) -> dict[str, Any]:
    return {"name": name, "dest": name.replace("-", "_"), "type": kind, "namespace": "keystone", **more}


DOCUMENT = {
    "options": {
        "DEFAULT": {
            "opts": [
                opt("log-dir", deprecated_opts=[{"group": "DEFAULT", "name": "logdir"}], help="Not kept."),
                opt("port", "port value", default=5000, min=0, max=65535, secret=False),
                opt("home", default="/usr/lib/python3/dist-packages/keystone"),
                opt("paths", "multi valued", default=["/a"]),
                opt("driver", choices=[["sql", "In a database."], [None, None]], deprecated_for_removal=True),
                opt("enabled", "boolean value", default=False, mutable=True),
                {**opt("lock_path"), "namespace": "oslo.concurrency"},
            ]
        }
    }
}
INDEX = {
    "kind": "generator",
    "namespaces": {"keystone": {"kind": "generator", "from": "keystone 22.0.2"}},
    "plugins": [{"name": "auth-url", "dest": "auth_url", "type": "string value"}],
    "plugins_from": "keystoneauth1",
}


def run_tool(folder: Path, target: Path) -> bytes:
    folder.mkdir(exist_ok=True)
    (folder / "index.json").write_text(json.dumps(INDEX))
    (folder / "keystone.json").write_text(json.dumps(DOCUMENT))
    command = [sys.executable, str(ROOT / "tools/option_metadata.py"), "pack", "--release", "zed"]
    subprocess.run([*command, "--from", str(folder), "--into", str(target)], check=True, timeout=60)
    return (target / "zed.json.xz").read_bytes()


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    place = tmp_path_factory.mktemp("tool")
    return run_tool(place / "in", place / "out")


def test_the_same_input_gives_the_same_bytes(packed: bytes, tmp_path: Path) -> None:
    assert run_tool(tmp_path / "in", tmp_path / "out") == packed


def test_what_is_kept_of_an_option(packed: bytes) -> None:
    document = json.loads(lzma.decompress(packed))
    assert document["services"] == {"keystone": {"sets": ["keystone", "keystoneauth1.plugins"]}}
    assert document["sets"]["keystone"]["from"] == "keystone 22.0.2"
    assert document["sets"]["keystone"]["options"]["DEFAULT"] == {
        "log_dir": {"deprecated": [["DEFAULT", "logdir"]]},
        "port": {"type": "port", "default": 5000, "min": 0, "max": 65535},
        "home": {},
        "paths": {"default": ["/a"], "multi": True},
        "driver": {"choices": ["sql"], "removal": True},
        "enabled": {"type": "boolean", "default": False, "mutable": True},
    }
    assert document["sets"]["keystoneauth1.plugins"]["options"] == {"*": {"auth_url": {}}}
