"""What a spec of a control plane lacks is a finding with its place."""

from pathlib import Path

import pytest

from understudy.catalog.load import load_catalog
from understudy.design.check import check_against_catalog
from understudy.findings import Finding
from understudy.spec.load import load_spec

EXAMPLE = Path(__file__).parents[3] / "examples" / "control-plane.yaml"
TEXT = EXAMPLE.read_text(encoding="utf-8")


def findings(tmp_path: Path, before: str, after: str) -> list[Finding]:
    assert before in TEXT
    path = tmp_path / "cloud.yaml"
    path.write_text(TEXT.replace(before, after), encoding="utf-8")
    return check_against_catalog(load_spec(path), load_catalog())


CACHE = "  memcached:        {standby: warm}\n"
BALANCER = "  haproxy:          {standby: warm}\n"
BROKER = "  rabbitmq:         {standby: cold, address: broker, storage: broker}\n"
VOLUME = "  cinder-volume:\n    standby: cold\n"


@pytest.mark.parametrize(
    ("before", "after", "code", "service"),
    [
        (BALANCER, "", "service-need-missing", "keystone"),
        (BROKER, "", "service-need-missing", "nova-api"),
        (VOLUME, VOLUME.replace("cold", "warm"), "standby-of-single-service", "cinder-volume"),
        (VOLUME, VOLUME.replace("cold", "balanced"), "standby-of-single-service", "cinder-volume"),
        ("{standby: warm, workers: 1}", "{standby: balanced}", "standby-unsupported", "nova-conductor"),
        (VOLUME, "  nova-consoleauth:\n    standby: cold\n", "service-not-in-release", "nova-consoleauth"),
        (CACHE, CACHE.replace("warm", "cold"), "service-without-address", "memcached"),
    ],
)
def test_it_is_said_where_and_why(tmp_path: Path, before: str, after: str, code: str, service: str) -> None:
    found = [one for one in findings(tmp_path, before, after) if one.values.get("service") == service]
    assert code in {one.code for one in found}
    assert all(one.place is not None for one in found)


def test_the_example_lacks_nothing(tmp_path: Path) -> None:
    assert not findings(tmp_path, BALANCER, BALANCER)
