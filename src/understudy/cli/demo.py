"""The demonstration: a highly available Image API in the lab, the death of its node, and what a client saw of it."""

import argparse
import asyncio
import hashlib
import os
import random
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from understudy.catalog.load import load_catalog
from understudy.catalog.releases import release_named
from understudy.cli.apply import reporter
from understudy.cli.console import FAILED, err, out, print_findings
from understudy.cli.drill import about
from understudy.cli.inputs import Input, read_input
from understudy.cli.lab import bring_up_lab
from understudy.cli.planning import make
from understudy.cli.progress import steps
from understudy.cli.reach import Reached, connector, reach
from understudy.cli.secrets import make_missing
from understudy.design.make import required_secrets
from understudy.drill.faults.aim import read_wishes
from understudy.drill.history import Event, History
from understudy.drill.judge import FaultOutcome, outcomes
from understudy.drill.preflight import Permission
from understudy.drill.prepare import prepare
from understudy.drill.run import Drill, Watchers
from understudy.drill.tell import closing
from understudy.drill.verdicts import judge
from understudy.findings import Finding, FindingsError
from understudy.kinds.registry import KINDS
from understudy.lab.client import CLIENT, Lab, administrator_session, in_network_of
from understudy.plan.apply import apply_plan
from understudy.plan.journal import state_directory
from understudy.report.drill_page import drill_page
from understudy.spec.load import load_spec

SPEC = Path("examples/image-api.yaml")
SERVICE = "glance-api"
IMAGE_BYTES = 48 * 1024 * 1024
CHUNK = 1024 * 1024
TRIES = 4
REQUEST_SECONDS = 60


@dataclass(frozen=True)
class ImageClient:
    """A user of the cloud in the clients' network: uploads and downloads through the public virtual address."""

    lab: Lab
    keystone: str
    glance: str
    password: str
    authority: Path | None = None
    """Whom it trusts to have signed certificates; without it, whom this machine trusts."""

    def upload(self, content: bytes) -> str:
        """Upload an image and return its id."""
        return str(in_network_of(self.lab.pid_of(CLIENT), lambda: self._upload(content)))

    def download(self, image: str) -> str:
        """Download an image and return the SHA-256 of what came."""
        return str(in_network_of(self.lab.pid_of(CLIENT), lambda: self._download(image)))

    def _session(self) -> Any:  # noqa: ANN401 - keystoneauth is imported late
        return administrator_session(self.keystone, self.password, REQUEST_SECONDS, self.authority)

    def _upload(self, content: bytes) -> str:
        session = self._session()
        description = {"name": "demonstration", "disk_format": "raw", "container_format": "bare"}
        image = session.post(f"{self.glance}/v2/images", json=description).json()["id"]
        headers = {"Content-Type": "application/octet-stream"}
        session.put(f"{self.glance}/v2/images/{image}/file", data=content, headers=headers)
        return str(image)

    def _download(self, image: str) -> str:
        answer = self._session().get(f"{self.glance}/v2/images/{image}/file", stream=True)
        digest = hashlib.sha256()
        for chunk in answer.iter_content(CHUNK):
            digest.update(chunk)
        return digest.hexdigest()


async def demonstrate(spec: Path) -> int:
    """Run the whole demonstration; returns the exit status."""
    begun = time.monotonic()
    loaded = load_spec(spec)
    make_missing(loaded, required_secrets(loaded.spec, load_catalog(), release_named(loaded.spec.release)))
    given = read_input(spec)
    lab, _ = bring_up_lab(given)
    up = time.monotonic()
    out.print(f"1  The lab is up: {', '.join(given.loaded.spec.nodes)}  ({up - begun:.0f} s)")
    async with reach(given.loaded, live=False) as reached:
        await apply_quietly(given, reached)
    applied = time.monotonic()
    out.print(f"2  Planned and applied over SSH: {_running(given)}  ({applied - up:.0f} s)")
    client = _client(given, lab)
    content = random.Random(0).randbytes(IMAGE_BYTES)  # noqa: S311 - bytes to compare, no secret
    image = await _patiently(client.upload, content)
    out.print(f"3  A client uploaded an image of {IMAGE_BYTES // CHUNK} MiB through {client.glance}")
    history = await lose_power(given, lab)
    victim = history.faults()[0].targets[0]
    out.print(f"4  {victim}, where everything ran, lost power; the others took over, and it came back")
    digest = await _patiently(client.download, image)
    same = digest == hashlib.sha256(content).hexdigest()
    out.print(f"5  The image was downloaded again, and is {'the same' if same else 'NOT THE SAME'}")
    out.print()
    outcome = outcomes(history)[0]
    for line in closing(outcome, "images"):
        out.print(line)
    out.print(f"Each start  {_starts(outcome)}")
    page = _page(given.loaded.spec.cloud, history)
    out.print(f"\nThe whole story as a page: {page}")
    _farewell(spec, time.monotonic() - begun)
    return 0 if same else FAILED


def _page(cloud: str, history: History) -> Path:
    """Write the report and return its path."""
    page = Path(f"drill-{cloud}.html")
    page.write_text(drill_page(history, judge(history), f"Drill of {cloud}"), encoding="utf-8")
    return page.absolute()


def _starts(outcome: FaultOutcome) -> str:
    """Return how long each start took on the node that took over; those that overlap do not add up."""
    spans = [span for span in outcome.started if span.name == "start" and span.seconds is not None]
    return ", ".join(f"{span.subject} {span.seconds:.2f} s" for span in spans)


async def _patiently(request: Callable[[Any], str], argument: object) -> str:
    """Make a request of a client, again when it fails, as a patient user would."""
    reason = ""
    for attempt in range(1, TRIES + 1):
        try:
            return await asyncio.to_thread(request, argument)
        except Exception as error:  # noqa: BLE001 - whatever a user would see
            reason = (str(error) or type(error).__name__).splitlines()[0]
            await asyncio.sleep(attempt)
    raise FindingsError([Finding("demo-client-failed", values={"reason": reason})], exit_status=FAILED)


async def apply_quietly(given: Input, reached: Reached) -> None:
    """Plan and apply without asking; raises FindingsError when a step fails."""
    with steps("Cluster") as progress:
        progress("planning")
        planned = await make(given, reached.world)
        outcome = await apply_plan(
            reached.world,
            planned.design.items,
            planned.plan,
            KINDS,
            directory=state_directory(given.loaded.spec.cloud, os.environ),
            report=reporter(progress, len(planned.plan.changes)),
        )
    if not outcome.complete:
        raise FindingsError(outcome.findings, exit_status=FAILED)


def _running(given: Input) -> str:
    services = [given.catalog.services[name].title for name in given.loaded.spec.services]
    return ", ".join(services)


def _client(given: Input, lab: Lab) -> ImageClient:
    cloud = given.cloud()
    return ImageClient(
        lab=lab,
        keystone=f"{cloud.url('keystone', 'public')}/v3",
        glance=cloud.url(SERVICE, "public"),
        password=given.secrets["identity-admin"].reveal(),
    )


async def lose_power(given: Input, lab: Lab) -> History:
    """Cut the power of the node that serves images, and watch until all is as it was before."""
    events: list[Event] = []
    connect = connector(given.loaded, lab)
    nodes, site, everyone = prepare(given.cloud(), connect, lab, given.secrets)
    # Only users of images: the clients of all services at once are more than one small machine bears beside the nodes.
    of_images = [
        Watchers([client for client in one.clients if client.service == SERVICE], one.prefix)
        for one in everyone
    ]
    watchers = [one for one in of_images if one.clients]
    try:
        with steps("Outage") as progress:
            told = await asyncio.to_thread(about, given)
            permission = Permission(in_lab=True)
            run = Drill(nodes, site, watchers, events.append, permission, progress, about=told)
            await run.run([read_wishes(f"power-loss:{SERVICE}@active", site.facts)])
    finally:
        await nodes.close()
    return History.of(events)


def _farewell(spec: Path, seconds: float) -> None:
    program = Path(sys.executable).with_name("understudy")
    with suppress(ValueError):
        program = program.relative_to(Path.cwd())
    out.print(f"\nAll of it took {seconds:.0f} s. The lab is left running. Try:")
    for command, what in (
        (f"{program} status {spec}", "what runs where"),
        (f"{program} plan {spec}", "nothing to change: the spec is true"),
        (f"{program} lab shell {spec} controller-1 crm_mon -1", "the cluster as Pacemaker shows it"),
        (f"{program} lab crash {spec} controller-2", "another power loss"),
        (f"{program} lab down {spec}", "take it all down"),
    ):
        out.print(f"  sudo {command:60}  # {what}")


def main(arguments: Sequence[str]) -> int:
    """Run the demonstration from the command line."""
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument("spec", nargs="?", type=Path, default=SPEC, help="a spec with an Image API")
    try:
        return asyncio.run(demonstrate(parser.parse_args(arguments).spec))
    except FindingsError as error:
        print_findings(error.findings)
        return error.exit_status
    except KeyboardInterrupt:
        err.print(
            f"Interrupted. What was started is still there: 'understudy lab down {SPEC}' takes it down."
        )
        return 130


if __name__ == "__main__":
    os.chdir(Path(__file__).resolve().parents[3])
    sys.exit(main(sys.argv[1:]))
