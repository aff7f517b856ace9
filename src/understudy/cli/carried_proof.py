"""The proof that a plan carries: made once for a design, then kept beside the journal for as long as it holds."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import understudy.proof
from understudy.cli.inputs import Input
from understudy.design.cluster import with_nodes
from understudy.design.make import Design
from understudy.formats import cib
from understudy.plan.journal import state_directory

FILE = "proof.json"


@dataclass(frozen=True)
class CarriedProof:
    """What a plan says of the proof of its design: lines for a person, the same as data."""

    lines: tuple[str, ...]
    document: Mapping[str, Any]


def carried_proof(given: Input, design: Design) -> CarriedProof:
    """Return the proof of a design; it is made anew only when something that it rests on is another."""
    configuration = cib.render(with_nodes(design.cluster, given.loaded.spec)).encode()
    digest = _digest(given, design, configuration)
    file = state_directory(given.loaded.spec.cloud, os.environ) / FILE
    return _kept(file, digest) or _made(given, file, digest)


def _made(given: Input, file: Path, digest: str) -> CarriedProof:
    # These take half a second to load, for which a kept proof need not wait.
    from understudy.cli.proving import designed  # noqa: PLC0415
    from understudy.proof.prove import prove  # noqa: PLC0415
    from understudy.proof.report import brief, brief_json  # noqa: PLC0415

    configuration, options = designed(given)
    proof = prove(configuration, str(given.path), options)
    carried = CarriedProof(tuple(brief(proof)), brief_json(proof))
    if proof.played and not proof.interrupted:
        _keep(file, digest, carried)
    return carried


def _digest(given: Input, design: Design, configuration: bytes) -> str:
    """Return what stands for everything that a proof rests on, the scheduler and our own code included."""
    parts = [
        str(given.path),
        design.corosync_conf,
        repr([(one.code, one.reason) for one in given.loaded.spec.accept]),
        *(f"{path} {stat.st_size} {stat.st_mtime_ns}" for path, stat in _programs()),
    ]
    whole = hashlib.sha256(configuration)
    for part in parts:
        whole.update(b"\0" + part.encode())
    return whole.hexdigest()


def _programs() -> Iterator[tuple[Path, os.stat_result]]:
    ours = sorted(Path(understudy.proof.__path__[0]).rglob("*.py"))
    scheduler = shutil.which("crm_simulate", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    for path in (*ours, *([Path(scheduler)] if scheduler else [])):
        with suppress(OSError):
            yield path, path.stat()


def _kept(file: Path, digest: str) -> CarriedProof | None:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        if found["digest"] == digest:
            return CarriedProof(tuple(found["lines"]), dict(found["document"]))
    except (OSError, ValueError, KeyError, TypeError):
        pass  # it is made again
    return None


def _keep(file: Path, digest: str, carried: CarriedProof) -> None:
    with suppress(OSError):  # without it the next plan only takes longer
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        new = file.with_name(f"{file.name}.{os.getpid()}")
        new.write_text(json.dumps({"digest": digest, **asdict(carried)}), encoding="utf-8")
        new.replace(file)
