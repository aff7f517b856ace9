"""What holds for every agent of the catalog."""

from __future__ import annotations

import ast
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from ruamel.yaml import YAML

from understudy.agents import AGENTS, DATA, OCF_ROOT, deployment
from understudy.agents.model import AgentData
from understudy.agents.understudy_agent.metadata import DEFAULT_TIMEOUTS
from understudy.cli.inputs import read_input
from understudy.formats.cluster import primitives_of

HERE = Path(__file__).parent
SERVICES = HERE.parents[1] / "src/understudy/catalog/services"
CORE = HERE.parents[1] / "src/understudy/agents/understudy_agent"
DTD = Path("/usr/share/resource-agents/ra-api-1.dtd")
PUBLISHED: dict[str, Any] = YAML(typ="safe").load((HERE / "published.yaml").read_text())
ENTRIES = {path.stem: YAML(typ="safe").load(path.read_text()) for path in sorted(SERVICES.glob("*.yaml"))}
DATA_OF = {name: entry["agent"] for name, entry in ENTRIES.items() if entry.get("agent")}
NAMES = sorted(name for service, data in DATA_OF.items() for name in (service, *data.get("aliases", ())))
DAEMONS = sorted(
    name for s, data in DATA_OF.items() if "launch" in data for name in (s, *data.get("aliases", ()))
)
ACTIONS = {"start", "stop", "status", "monitor", "validate-all", "meta-data"}


def call(root: Path, name: str, action: str, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {"OCF_ROOT": str(root), "HA_RSCTMP": str(root / "run"), **environment}
    command = [str(root / "resource.d/openstack" / name), action]
    return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60, check=False)


def metadata(root: Path, name: str) -> etree._Element:
    done = call(root, name, "meta-data")
    assert (done.returncode, done.stderr) == (0, "")
    return etree.fromstring(done.stdout.encode())


def parameters(document: etree._Element) -> dict[str, str]:
    defaults = {}
    for item in document.iter("parameter"):
        content = item.find("content")
        assert content is not None
        defaults[item.get("name", "")] = content.get("default", "")
    return defaults


@pytest.mark.parametrize("name", NAMES)
def test_metadata(ocf_root: Path, name: str) -> None:
    document = metadata(ocf_root, name)
    assert document.get("name") == name
    assert document.findtext("version") == "1.1"
    actions = {action.get("name"): action for action in document.iter("action")}
    assert set(actions) - {"reload-agent"} == ACTIONS
    assert all(action.get("timeout") for action in actions.values())
    assert actions["monitor"].get("interval")
    names = [item.get("name") for item in document.iter("parameter")]
    assert len(names) == len(set(names))
    for item in document.iter("parameter"):
        for tag in ("longdesc", "shortdesc"):
            assert (item.findtext(tag) or "").strip(), item.get("name")
        content = item.find("content")
        assert content is not None
        assert content.get("type") in {"string", "integer", "boolean"}
    reloadable = [item.get("name") for item in document.iter("parameter") if item.get("reloadable") == "1"]
    assert reloadable == (["config_digest"] if "reload-agent" in actions else [])
    if "reload-agent" not in actions and DTD.exists():
        checker = etree.DTD(str(DTD))
        assert checker.validate(document), checker.error_log


@pytest.mark.parametrize("name", sorted(PUBLISHED["agents"]))
def test_published_parameters(ocf_root: Path, name: str) -> None:
    found = parameters(metadata(ocf_root, name))
    for parameter, default in {**PUBLISHED["common"], **PUBLISHED["agents"][name]}.items():
        expected = PUBLISHED["other"].get(name, {}).get(parameter, default)
        assert parameter in found
        assert found[parameter] == ("" if parameter in PUBLISHED["derived"] else expected), parameter


@pytest.mark.parametrize("name", DAEMONS)
def test_nothing_installed(ocf_root: Path, name: str, tmp_path: Path) -> None:
    """Without program, option file and user a probe finds nothing, a stop is done, a start says what is missing."""
    missing = {"OCF_RESKEY_config": str(tmp_path / "none.conf"), "OCF_RESKEY_user": "no-such-user"}
    missing |= {
        "OCF_RESKEY_binary": str(tmp_path / "none"),
        "OCF_RESKEY_launch": next(iter(plain(name)["launch"])),
    }
    assert call(ocf_root, name, "monitor", OCF_RESKEY_CRM_meta_interval="0", **missing).returncode == 7
    assert call(ocf_root, name, "status", **missing).returncode == 7
    assert call(ocf_root, name, "stop", **missing).returncode == 0
    assert call(ocf_root, name, "validate-all", **missing).returncode == 0
    started = call(ocf_root, name, "start", **missing)
    assert started.returncode == 5
    assert "ocf-exit-reason:there is no" in started.stderr


def plain(name: str) -> dict[str, Any]:
    """Return the data of an agent by any of its names."""
    return next(data for service, data in DATA_OF.items() if name in (service, *data.get("aliases", ())))


@pytest.mark.parametrize("name", sorted(DATA_OF))
def test_data_fits_its_model(name: str) -> None:
    model = AgentData.model_validate(DATA_OF[name])
    assert "timeouts" in DATA_OF[name] or model.timeouts.model_dump() == DEFAULT_TIMEOUTS
    for mode in model.launch.values():
        assert mode.file in {"config", "uwsgi_ini"}
        assert not mode.reload or hasattr(signal, f"SIG{mode.reload}")


def test_guides_ports_of_any_length(ocf_root: Path) -> None:
    for port in ("672", "5672", "15672"):
        done = call(ocf_root, "nova-consoleauth", "validate-all", OCF_RESKEY_amqp_server_port=port)
        assert done.returncode == 0
    assert call(ocf_root, "nova-consoleauth", "validate-all", OCF_RESKEY_amqp_server_port="x").returncode == 6


def test_deployment() -> None:
    files = deployment({"cinder-scheduler": DATA_OF["cinder-scheduler"]})
    paths = {file.path: file for file in files}
    assert len(paths) == len(files)
    for name in ("cinder-scheduler", "cinder-schedule"):
        assert paths[f"{AGENTS}/{name}"].mode == 0o755
        assert paths[f"{AGENTS}/{name}"].content.startswith("#!/usr/bin/python3 -IS\n")
        assert f"{DATA}/{name}.json" in paths
    assert all(path.startswith(OCF_ROOT + "/") for path in paths)


def test_agent_without_data_says_so(ocf_root: Path) -> None:
    lonely = ocf_root / "resource.d/openstack/unheard-of"
    lonely.write_text((ocf_root / "resource.d/openstack/glance-api").read_text())
    lonely.chmod(stat.S_IRWXU)
    done = call(ocf_root, "unheard-of", "monitor")
    lonely.unlink()
    assert done.returncode == 5
    assert "there is no data for unheard-of" in done.stderr


@pytest.mark.parametrize("path", sorted(CORE.glob("*.py")), ids=lambda path: path.name)
def test_core_runs_on_the_oldest_system_python(path: Path) -> None:
    """Only the standard library and relative imports, in the syntax of Python 3.9."""
    tree = ast.parse(path.read_text(), feature_version=(3, 9))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert all(alias.name.partition(".")[0] in sys.stdlib_module_names for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            assert (node.module or "").partition(".")[0] in sys.stdlib_module_names


def test_monitor_imports_little(ocf_root: Path) -> None:
    """The cost of a monitor is that of what it imports."""
    agent = ocf_root / "resource.d/openstack/glance-api"
    variables = {"OCF_ROOT": str(ocf_root), "PATH": os.environ["PATH"], "HA_RSCTMP": str(ocf_root / "run")}
    command = ["/usr/bin/python3", "-ISX", "importtime", str(agent), "monitor"]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60, check=False)
    imported = {
        line.rpartition("|")[2].strip()
        for line in done.stderr.splitlines()
        if line.startswith("import time:")
    }
    assert "understudy_agent.actions" in imported
    heavy = {
        "json",
        "re",
        "socket",
        "ssl",
        "subprocess",
        "logging",
        "argparse",
        "typing",
        "pathlib",
        "urllib",
        "signal",
    }
    assert not heavy & imported


@pytest.mark.parametrize(
    "spec", sorted((HERE.parents[1] / "examples").glob("*.yaml")), ids=lambda spec: spec.stem
)
def test_the_examples_give_agents_only_parameters_that_they_have(ocf_root: Path, spec: Path) -> None:
    design = read_input(spec, with_secrets=False).design().cluster
    for primitive in (one for resource in design.resources for one in primitives_of(resource)):
        name = primitive.agent.removeprefix("ocf:openstack:")
        if name in NAMES:
            assert set(primitive.parameters) <= set(parameters(metadata(ocf_root, name))), primitive.id
