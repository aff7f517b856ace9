"""haproxy.cfg of a balanced control plane as a whole file; ``UNDERSTUDY_GOLDEN=write`` writes it anew."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.agents.conftest import free_port, until

from understudy.catalog.load import load_catalog
from understudy.catalog.releases import release_named
from understudy.design.cluster import with_nodes
from understudy.design.context import WILDCARD, Cloud
from understudy.design.items import File, Options
from understudy.design.make import Design, make_design
from understudy.design.proxy import BACKEND_OFFSET, fronts
from understudy.formats import cib
from understudy.formats.cluster import INFINITY, Colocation, Order
from understudy.formats.haproxy import Front, Server, render
from understudy.proof.prove import prove
from understudy.proof.result import Options as ProofOptions
from understudy.proof.runner.command import CommandScheduler
from understudy.proof.runner.library import SchedulerUnavailableError
from understudy.secret import Secret, reveal
from understudy.spec.load import load_spec
from understudy.spec.model import Service, Spec

EXAMPLE = Path(__file__).parents[3] / "examples" / "control-plane.yaml"
EXPECTED = Path(__file__).with_name("haproxy.cfg")
PATH = "/etc/haproxy/understudy.cfg"
APIS = ("keystone", "placement", "cinder-api", "neutron-server", "nova-api")


def balanced() -> Spec:
    spec = load_spec(EXAMPLE).spec
    changed = {name: spec.services[name].model_copy(update={"standby": "balanced"}) for name in APIS}
    services = {**spec.services, **changed, "haproxy": Service(standby="warm")}
    return spec.model_copy(update={"services": services, "accept": ()})


@pytest.fixture(scope="module")
def design() -> Design:
    return make_design(balanced(), load_catalog(), release_named("zed"), Secret)


def rendered(design: Design, node: str = "controller-1") -> str:
    (file,) = [one for one in design.items if isinstance(one, File) and one.path == PATH and one.node == node]
    return reveal(file.content)


def test_the_file_is_as_expected(design: Design) -> None:
    text = rendered(design)
    if os.environ.get("UNDERSTUDY_GOLDEN") == "write":
        EXPECTED.write_text(text, encoding="utf-8")
    assert text == EXPECTED.read_text(encoding="utf-8")


def test_it_is_the_same_on_every_node(design: Design) -> None:
    assert len({rendered(design, node) for node in balanced().nodes}) == 1


def haproxy(folder: Path, *options: str) -> list[str]:
    """Return the command that runs HAProxy on haproxy.cfg of a folder: this machine's, or that of a lab's image."""
    image = os.environ.get("UNDERSTUDY_LAB_IMAGE")
    if shutil.which("haproxy"):
        return ["haproxy", *options, "-f", str(folder / "haproxy.cfg")]
    if image and os.geteuid() == 0:
        script = 'mount --bind "$0" "$1/mnt" && exec chroot "$@" -f /mnt/haproxy.cfg'
        return ["unshare", "-m", "sh", "-c", script, str(folder), image, "haproxy", *options]
    pytest.skip("needs haproxy, or root and a lab image")


@pytest.mark.root
def test_haproxy_takes_the_file(design: Design, tmp_path: Path) -> None:
    (tmp_path / "haproxy.cfg").write_text(rendered(design), encoding="utf-8")
    done = subprocess.run(haproxy(tmp_path, "-c"), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "[WARNING]" not in done.stderr


class Copy(BaseHTTPRequestHandler):
    """A copy of a service that works, and answers no check while it has too much to do.

    The one whose port is ``hung`` takes questions and answers none; then it ends.
    """

    busy = Event()
    hung = 0

    def do_GET(self) -> None:
        if self.connection.getsockname()[1] == Copy.hung:
            while Copy.hung:
                time.sleep(0.01)
            return
        healthy = self.path != "/check" or not self.busy.is_set()
        self.send_response(200 if healthy else 503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the library's
        """Say nothing."""


@contextmanager
def in_front_of_two(folder: Path) -> Iterator[tuple[int, list[ThreadingHTTPServer]]]:
    """Run HAProxy before two copies until it serves; give its port and the copies. What it says is in ``log``."""
    with ExitStack() as stack:
        copies = [stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), Copy)) for _ in range(2)]
        for copy in copies:
            Thread(target=copy.serve_forever, daemon=True).start()
            stack.callback(copy.shutdown)
        servers = tuple(
            Server(f"n{number}", "127.0.0.1", copy.server_address[1]) for number, copy in enumerate(copies)
        )
        port = free_port()
        text = render([Front("image", ("127.0.0.1",), port, servers, check_path="/check")])
        (folder / "haproxy.cfg").write_text(text, encoding="utf-8")
        log = stack.enter_context((folder / "log").open("w+"))
        process = subprocess.Popen(haproxy(folder, "-db"), stderr=log)
        stack.callback(process.wait)
        stack.callback(process.kill)
        until(lambda: served(port), 30)
        yield port, copies


def said(folder: Path, text: str) -> bool:
    return text in (folder / "log").read_text(encoding="utf-8")


@pytest.mark.root
def test_copies_that_answer_no_check_in_time_are_tried_when_there_is_no_other(tmp_path: Path) -> None:
    """A client is served throughout; what was refused to it while HAProxy had no healthy copy would be a 503."""
    with in_front_of_two(tmp_path) as (port, _):
        Copy.busy.set()
        try:
            limit = time.monotonic() + 30
            while not said(tmp_path, "Running on backup") and time.monotonic() < limit:
                assert served(port)
                time.sleep(0.05)
            assert said(tmp_path, "Running on backup")
            assert all(served(port) for _ in range(10))
        finally:
            Copy.busy.clear()


@pytest.mark.root
def test_no_question_fails_when_a_copy_ends(tmp_path: Path) -> None:
    """Neither those that meet the copy that is gone, nor those on their way when HAProxy notices."""

    def asked(port: int) -> bool:
        answers = []
        limit = time.monotonic() + 30
        while not said(tmp_path, "image/n0 is DOWN") and time.monotonic() < limit:
            answers.append(served(port))
        return all([*answers, *(served(port) for _ in range(10))])

    with in_front_of_two(tmp_path) as (port, copies), ThreadPoolExecutor(8) as pool:
        copies[0].shutdown()
        copies[0].server_close()
        assert all(pool.map(asked, [port] * 8))
        assert said(tmp_path, "image/n0 is DOWN")


@pytest.mark.root
def test_what_a_hung_copy_was_asked_is_answered_by_another_when_it_is_ended(tmp_path: Path) -> None:
    with in_front_of_two(tmp_path) as (port, copies), ThreadPoolExecutor(8) as pool:
        Copy.hung = copies[0].server_address[1]
        asked = [pool.submit(served, port, 30) for _ in range(8)]
        until(lambda: said(tmp_path, "image/n0 is DOWN"), 30)
        waiting = [one for one in asked if not one.done()]
        copies[0].shutdown()
        copies[0].server_close()
        Copy.hung = 0
        assert waiting
        assert all(one.result() for one in asked)


def served(port: int, patience: float = 5) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=patience)
    with closing(connection), suppress(ConnectionError):
        connection.request("GET", "/")
        return connection.getresponse().status == 200
    return False


def test_copies_listen_at_their_own_address_where_haproxy_looks_for_them(design: Design) -> None:
    options = {(one.node, one.path): one for one in design.items if isinstance(one, Options)}
    for node, addresses in balanced().nodes.items():
        values = {one.name: one.value for one in options[node, "/etc/cinder/cinder.conf"].options}
        assert values["osapi_volume_listen"] == str(addresses["management"])
        assert values["osapi_volume_listen_port"] == str(8776 + BACKEND_OFFSET)
    keystone = {one.id: one for one in design.cluster.primitives()}["keystone"].parameters
    assert (keystone["bind_host"], keystone["bind_port"]) == (WILDCARD[4], "15000")


def test_the_address_is_where_haproxy_runs_and_nothing_waits_for_it(design: Design) -> None:
    together = [one for one in design.cluster.constraints if isinstance(one, Colocation)]
    tied = {
        one.resource for one in together if one.with_resource == "haproxy-clone" and one.score == INFINITY
    }
    assert tied == {"ip-api-internal", "ip-api-public"}
    assert not {one.with_resource for one in together} & {f"{name}-clone" for name in APIS}
    ordered = {
        name for one in design.cluster.constraints if isinstance(one, Order) for name in (one.first, one.then)
    }
    assert "haproxy-clone" not in ordered


def test_every_failure_is_survived_and_no_bystander_touched(design: Design) -> None:
    try:
        CommandScheduler()
    except SchedulerUnavailableError as error:
        pytest.skip(str(error))
    text = cib.render(with_nodes(design.cluster, balanced())).encode()
    proof = prove(text, "balanced", ProofOptions())
    assert proof.sound, [f"{one.code} {dict(one.values)}" for one in proof.findings]
    assert not proof.accepted


def test_clients_find_services_on_their_usual_ports(design: Design) -> None:
    cloud = Cloud(balanced(), load_catalog(), release_named("zed"), Secret)
    assert {front.name: front.port for front in fronts(cloud)} == {
        name: cloud.entry(name).port for name in APIS
    }
    urls = [one.key for one in design.items if one.kind == "endpoint"]
    assert urls
    assert cloud.url("keystone") == "http://192.168.42.103:5000"


@pytest.mark.parametrize(("workers", "expected"), [(None, None), (1, 2), (2, 4)])
def test_a_copy_is_sent_half_as_many_requests_as_it_has_threads(
    workers: int | None, expected: int | None
) -> None:
    spec = balanced()
    changed = {name: spec.services[name].model_copy(update={"workers": workers}) for name in APIS}
    spec = spec.model_copy(update={"services": {**spec.services, **changed}})
    found = {
        one.name: one.at_once for one in fronts(Cloud(spec, load_catalog(), release_named("zed"), Secret))
    }
    # In this release those two run under uWSGI, and the others as programs that take any number of requests.
    assert found == {**dict.fromkeys(APIS), "keystone": expected, "placement": expected}


def test_an_address_of_version_6_is_in_brackets() -> None:
    text = render([Front("image", ("2001:db8::1",), 9292, (Server("one", "2001:db8::2", 19292),))])
    assert "bind [2001:db8::1]:9292\n" in text
    assert "server one [2001:db8::2]:19292 check\n" in text
    assert "server one-unchecked [2001:db8::2]:19292 backup\n" in text


def test_certificates_are_renewed_over_a_socket_of_roots() -> None:
    front = Front("image", ("192.0.2.1",), 9292, (Server("one", "192.0.2.2", 19292),))
    assert "stats socket" not in render([front])
    text = render(
        [replace(front, certificates={"192.0.2.1": "/etc/ssl/understudy/proxy-image-internal.pem"})]
    )
    section = text[text.index("global\n") : text.index("defaults\n")]
    assert "    stats socket /run/haproxy-understudy.sock user root mode 600 level admin\n" in section


@given(st.lists(st.integers(1, 65535), min_size=1, max_size=5, unique=True))
def test_every_front_has_its_section(ports: list[int]) -> None:
    made = [Front(f"s{port}", ("192.0.2.1",), port, (Server("one", "192.0.2.2", port),)) for port in ports]
    text = render(made)
    assert [line.split()[1] for line in text.splitlines() if line.startswith("listen ")] == [
        one.name for one in made
    ]


@pytest.mark.parametrize(
    "front", [Front("s", (), 1, (Server("one", "192.0.2.2", 1),)), Front("s", ("192.0.2.1",), 1, ())]
)
def test_a_front_without_ends_is_refused(front: Front) -> None:
    with pytest.raises(ValueError, match="no address or no server"):
        render([front])
