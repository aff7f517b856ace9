"""The example's spec made true on three nodes: planned, applied, changed, disturbed, and broken by a power loss."""

import hashlib
import os
import re
import time

import pytest
from keystoneauth1.exceptions import HttpError
from tests.lab.cluster import Site
from tests.lab.conftest import AppliedCloud

from understudy.lab.client import CLIENT, in_network_of

pytestmark = [pytest.mark.root, pytest.mark.lab]

IMAGE_BYTES = 24 * 1024 * 1024
OPTIONS = "/etc/glance/glance-api.conf"
WORKERS = "glance-api: {standby: cold, address: api, storage: shared, workers: 1}"
LIMITED = WORKERS.replace("workers: 1", "workers: 1, options: {DEFAULT: {image_size_cap: 65536}}")
FOREIGN = '<primitive id="by-hand" class="ocf" provider="heartbeat" type="Dummy"/>'


def test_a_plan_shows_what_is_pending_and_touches_nothing(applied: AppliedCloud) -> None:
    plan = applied.first_plan
    assert plan.returncode == 3, plan.stderr
    for text in (
        "glance-api",
        "bind_port",
        "Pacemaker will start mariadb on",
        "running → stopped",
        "blank → xfs",
    ):
        assert text in plan.stdout
    assert applied.touched_by_plan == ""
    for secret in (applied.site.spec.parent / "secrets").iterdir():
        assert secret.read_text().strip() not in plan.stdout


def test_an_apply_that_was_killed_again_and_again_comes_to_its_end(applied: AppliedCloud) -> None:
    assert len(applied.journals) == 3
    assert applied.last_apply.returncode == 0, applied.last_apply.stderr + applied.last_apply.stdout
    assert "Done" in applied.last_apply.stdout


def test_a_plan_after_the_apply_is_empty(applied: AppliedCloud) -> None:
    for plan in applied.plans_after:
        assert plan.returncode == 0, plan.stdout + plan.stderr
        assert "Nothing to change" in plan.stdout


def test_status_is_healthy(site: Site) -> None:
    seen = site.document("status")
    assert seen["healthy"] is True
    assert seen["pending"] == []
    assert set(seen["nodes"].values()) == {"online"}
    assert {each["state"] for each in seen["resources"]} == {"running"}


def test_the_running_cluster_is_proved_as_its_design_is(site: Site) -> None:
    running, designed = site.document("prove", "--running"), site.document("prove")
    assert (running["violations"], running["interrupted"]) == ([], False)
    assert running["scenarios"] == running["planned"] == designed["planned"]
    assert {one["code"] for one in running["accepted"]} == {one["code"] for one in designed["accepted"]}


def test_no_secret_is_in_the_cluster_or_the_journal(site: Site) -> None:
    seen = site.on(site.nodes[0], "cibadmin --query")
    journal = (site.state / "understudy" / site.name / "journal.jsonl").read_text()
    for secret in (site.spec.parent / "secrets").iterdir():
        assert secret.read_text().strip() not in seen + journal


def test_endpoints_are_the_virtual_addresses(site: Site) -> None:
    client = site.client()

    def endpoints() -> list[dict[str, str]]:
        return list(client._session().get(f"{client.keystone}/endpoints").json()["endpoints"])

    found = {(each["interface"], each["url"]) for each in in_network_of(site.lab.pid_of(CLIENT), endpoints)}
    assert found == {
        ("public", "http://198.51.100.103:5000/v3"),
        ("internal", "http://10.91.42.103:5000/v3"),
        ("admin", "http://10.91.42.103:5000/v3"),
        ("public", "http://198.51.100.103:9292"),
        ("internal", "http://10.91.42.103:9292"),
        ("admin", "http://10.91.42.103:9292"),
    }


def test_units_that_pacemaker_manages_are_off(applied: AppliedCloud) -> None:
    site, first = applied.site, applied.site.nodes[0]
    assert "glance-api" in applied.units_before
    assert "mariadbd" in applied.units_before
    links = site.on(first, "ls /etc/rc2.d").split()
    assert not [link for link in links if link.startswith("S") and link[3:] in {"glance-api", "mariadb"}]
    # What runs there now, if anything, is what Pacemaker started: its database works on the shared storage.
    mysql = site.on(first, "ps -C mariadbd -o args= || true").splitlines()
    assert all("--datadir=/var/lib/understudy/shared/mysql" in line for line in mysql)


def test_pacemakers_own_database_is_left_alone_by_another_apply(site: Site) -> None:
    node = site.where("mariadb")
    before = site.on(node, "pidof mariadbd")
    # The marks of a unit that somebody enabled again, on the node where Pacemaker's copy runs.
    site.on(node, "update-rc.d mariadb enable")
    done = site.document("apply", "--yes")
    assert done["complete"] is True
    assert done["done"] == [f"unit {node} mariadb"]
    assert site.on(node, "pidof mariadbd") == before


def test_a_changed_option_takes_effect_through_pacemaker_and_what_is_foreign_stays(site: Site) -> None:
    node, other = site.where("glance-api"), site.idle_node()
    site.on(node, f"cibadmin --create --scope resources --xml-text '{FOREIGN}'")
    site.on(other, f"printf '# mine\\n[image_format]\\ncontainer_formats = bare\\n' >> {OPTIONS}")
    database, keystone = site.on(node, "pidof mariadbd"), site.pid("keystone")
    client, content = site.client(), bytes(2 * 65536)
    client.upload(content)
    limited = site.variant("limited", (WORKERS, LIMITED))
    plan = site.understudy("plan", spec=limited)
    # The agents can reload their service, so a changed digest of the options is no restart.
    assert re.findall(r"Pacemaker will .*", plan.stdout) == [f"Pacemaker will reload glance-api on {node}."]
    assert "Clients notice: nothing." in plan.stdout
    assert "primitive by-hand" in plan.stdout
    assert "[DEFAULT] image_size_cap  65536" in plan.stdout
    assert "container_formats" not in plan.stdout

    assert site.understudy("apply", spec=limited).returncode == 0
    site.on(node, "crm_resource --wait --timeout 90")
    with pytest.raises(HttpError) as refused:
        client.upload(content)
    assert refused.value.http_status == 413
    assert site.understudy("plan", "--exit-code", spec=limited).returncode == 0
    assert "primitive by-hand" in site.document("status", spec=limited)["foreign"]
    assert (site.on(node, "pidof mariadbd"), site.pid("keystone")) == (database, keystone)
    edited = site.on(other, f"cat {OPTIONS}")
    assert "# mine\n[image_format]\ncontainer_formats = bare\n" in edited
    assert "image_size_cap = 65536" in edited

    # An option that the spec sets no more is the operator's again: it stays until somebody takes it out.
    for each in site.nodes:
        site.on(each, f"sed -i '/^image_size_cap/d' {OPTIONS}")
    site.on(node, "cibadmin --delete --scope resources --xml-text '<primitive id=\"by-hand\"/>'")
    assert site.understudy("apply").returncode == 0
    site.on(node, "crm_resource --wait --timeout 90")
    client.upload(content)


def test_an_option_edited_by_hand_is_shown_and_put_right(site: Site) -> None:
    node = site.idle_node()
    site.on(node, f"chmod 644 {OPTIONS}; sed -i 's/^workers = 1$/workers = 7/' {OPTIONS}")
    changes = site.document("plan")["changes"]
    assert [change["key"] for change in changes] == [f"options {node} {OPTIONS}"]
    (line,) = changes[0]["differences"]
    assert (line["name"], line["before"], line["after"]) == ("[DEFAULT] workers", "7", "1")
    assert site.understudy("apply").returncode == 0
    assert site.on(node, f"grep ^workers {OPTIONS}; stat -c %a {OPTIONS}").split() == [
        "workers",
        "=",
        "1",
        "644",
    ]
    assert "workers = 7" in site.on(node, f"cat {OPTIONS}.understudy-before")
    assert site.understudy("plan", "--exit-code").returncode == 0


def test_a_saved_plan_is_applied_to_the_world_that_it_was_made_for(site: Site) -> None:
    node, saved = site.idle_node(), site.spec.with_name("plan.json")
    edit = f"sed -i 's/^workers = .*$/workers = 5/' {OPTIONS}"
    site.on(node, edit)
    assert site.understudy("plan", "--save", str(saved)).returncode == 0
    site.on(node, f"echo '# somebody was here' >> {OPTIONS}")
    before = site.on(node, f"cat {OPTIONS}")
    assert site.codes("apply", "--plan", str(saved)) == (1, ["plan-outdated"])
    assert site.on(node, f"cat {OPTIONS}") == before
    assert site.understudy("plan", "--save", str(saved)).returncode == 0
    assert site.codes("apply", "--plan", str(saved)) == (0, [])
    assert "workers = 1" in site.on(node, f"cat {OPTIONS}")


def test_an_image_survives_the_power_loss_of_the_node_that_served_it(site: Site) -> None:
    client, content = site.client(), os.urandom(IMAGE_BYTES)
    image = client.upload(content)
    victim = site.where("glance-api")
    begun = time.time()
    site.lab.crash(victim)
    # Healthy again means: taken over, fenced, and the node that was dead is back as a member.
    site.settle(lambda now: bool(now["healthy"]) and site.fenced(victim, begun))
    assert client.download(image) == hashlib.sha256(content).hexdigest()
    placed = site.placement()
    assert not {name for name, nodes in placed.items() if victim in nodes and not name.startswith("fence-")}
    time.sleep(5)
    assert site.placement() == placed, "a node that came back must not pull anything"
