"""From a spec to its lab."""

from pathlib import Path

import pytest

from understudy.lab.from_spec import topology_of
from understudy.spec.load import load_spec


@pytest.mark.parametrize(
    ("given", "system"),
    [
        (", systems_uri: /redfish/v1/Systems/System.Embedded.1", "/redfish/v1/Systems/System.Embedded.1"),
        ("", "/redfish/v1/Systems/1"),
    ],
)
def test_a_board_has_its_system_where_the_spec_says(given: str, system: str, tmp_path: Path) -> None:
    text = Path("examples/image-api.yaml").read_text(encoding="utf-8")
    path = tmp_path / "cloud.yaml"
    path.write_text(text.replace("{file: secrets/fencing}}", f"{{file: secrets/fencing}}{given}}}"))
    nodes = topology_of(load_spec(path).spec).nodes
    assert {node.bmc_system for node in nodes.values()} == {system}
