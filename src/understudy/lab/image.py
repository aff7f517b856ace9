"""The nodes' root file system: built once with mmdebstrap from the host's own apt sources, then cached.

``UNDERSTUDY_LAB_IMAGE`` names an existing root file system that is used instead, as it is; it is never written to.
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from pydantic import TypeAdapter
from ruamel.yaml import YAML

from understudy.findings import Finding, FindingsError
from understudy.lab import sources

IMAGES = Path("/var/cache/understudy/images")
"""All images of this machine. A folder that is there under its name is complete."""

OVERRIDE = "UNDERSTUDY_LAB_IMAGE"

BUILD_SECONDS = 1800
_LOG_LINES = 20
_UNFINISHED = ".unfinished-"

Progress = Callable[[str, float], None]
"""Is told what is being done and how far all of it is, from 0 to 1."""


@dataclass(frozen=True)
class Recipe:
    """What an image is made of."""

    distribution: str
    suite: str
    keyring: str
    packages: tuple[str, ...]
    count: int
    size: int
    generation: int

    @property
    def name(self) -> str:
        """The image's name: another recipe, another name."""
        essence = json.dumps([self.suite, sorted(self.packages), self.generation])
        return f"{self.distribution}-{self.suite}-{hashlib.sha256(essence.encode()).hexdigest()[:12]}"


@dataclass(frozen=True)
class _Distribution:
    suite: str
    keyring: str
    releases: tuple[str, ...]
    count: int
    bytes: int
    packages: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class _Packages:
    generation: int
    distributions: Mapping[str, _Distribution]


@cache
def _packages() -> _Packages:
    text = resources.files(__package__).joinpath("packages.yaml").read_text(encoding="utf-8")
    return TypeAdapter(_Packages).validate_python(YAML(typ="safe").load(text))


def recipe_for(distribution: str, release: str) -> Recipe:
    """Return how to make an image with this OpenStack release; raises FindingsError if that cannot be."""
    data = _packages()
    entry = data.distributions.get(distribution)
    if entry is None:
        values = {"distribution": distribution, "known": ", ".join(data.distributions)}
        raise FindingsError([Finding("lab-distribution-unknown", values=values)])
    if release not in entry.releases:
        carried = ", ".join(entry.releases)
        values = {"release": release, "distribution": distribution, "suite": entry.suite, "carried": carried}
        raise FindingsError([Finding("lab-release-not-carried", values=values)])
    return Recipe(
        distribution=distribution,
        suite=entry.suite,
        keyring=entry.keyring,
        packages=tuple(package for group in entry.packages.values() for package in group),
        count=entry.count,
        size=entry.bytes,
        generation=data.generation,
    )


def ensure_image(recipe: Recipe, progress: Progress = lambda _phase, _share: None) -> Path:
    """Return the image of this recipe, building it if it is not there; one that was left half-built is removed.

    Raises FindingsError with exit status 1 when it cannot be built.
    """
    override = os.environ.get(OVERRIDE)
    if override:
        if not Path(override, "usr/bin/python3").exists():
            raise FindingsError(
                [Finding("lab-image-unusable", values={"path": override, "variable": OVERRIDE})]
            )
        return Path(override)
    image = IMAGES / recipe.name
    if image.is_dir():
        return image
    with _lock():
        _remove_unfinished()
        if not image.is_dir():
            _build(recipe, image, progress)
            _remove_superseded(recipe, image)
    return image


def hold(image: Path) -> int:
    """Keep an image from being removed for as long as the descriptor that is returned is open."""
    descriptor = os.open(image, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def _remove_superseded(recipe: Recipe, image: Path) -> None:
    """Remove the images of earlier recipes for the same suite, but for those that a lab runs on."""
    for other in IMAGES.glob(f"{recipe.distribution}-{recipe.suite}-*"):
        if other == image:
            continue
        descriptor = os.open(other, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(other.rename(IMAGES / f"{_UNFINISHED}{other.name}"))
        except BlockingIOError:
            continue
        finally:
            os.close(descriptor)


@contextmanager
def _lock() -> Iterator[None]:
    IMAGES.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(IMAGES, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _remove_unfinished() -> None:
    """Remove what an interrupted build left; who holds the lock knows that nobody is at it."""
    for path in IMAGES.glob(f"{_UNFINISHED}*"):
        shutil.rmtree(path)


def _build(recipe: Recipe, image: Path, progress: Progress) -> None:
    free = shutil.disk_usage(IMAGES).free
    if free < recipe.size:
        raise FindingsError([no_space(IMAGES, recipe.size, free)], exit_status=1)
    chosen = sources.choose(_host_sources(), recipe.suite, recipe.keyring)
    if not chosen:
        values: dict[str, object] = {"suite": recipe.suite, "distribution": recipe.distribution}
        raise FindingsError([Finding("lab-no-apt-source", values=values)], exit_status=1)
    work = IMAGES / f"{_UNFINISHED}{recipe.name}"
    work.mkdir()
    try:
        (work / "lab.sources").write_text(chosen, encoding="utf-8")
        (work / "apt.conf").write_text(_apt_options(), encoding="utf-8")
        _run_mmdebstrap(recipe, work, progress)
        _finish(work / "root")
        (work / "root").rename(image)
    finally:
        # What was killed may still be writing there for a moment; the next build removes what that leaves.
        shutil.rmtree(work, ignore_errors=True)


def no_space(path: Path, needed: int, free: int) -> Finding:
    """Return the finding that there is too little room, sizes in bytes."""
    return Finding(
        "lab-no-space", values={"path": path, "needed": _gigabytes(needed), "free": _gigabytes(free)}
    )


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB"


def _host_sources() -> Mapping[str, str]:
    folder = Path("/etc/apt")
    files = [folder / "sources.list", *sorted(folder.glob("sources.list.d/*.list"))]
    files += sorted(folder.glob("sources.list.d/*.sources"))
    return {file.name: file.read_text(encoding="utf-8", errors="replace") for file in files if file.exists()}


def _apt_options() -> str:
    """Return apt's options for the build: lean, and through the proxy that the host's apt uses."""
    command = ["apt-config", "dump", "--no-empty", "Acquire::http::Proxy", "Acquire::https::Proxy"]
    host = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=20, env={"LC_ALL": "C"}
    )
    return f'APT::Install-Recommends "false";\nAcquire::Languages "none";\n{host.stdout}'


def _run_mmdebstrap(recipe: Recipe, work: Path, progress: Progress) -> None:
    # In mount and process namespaces that end with this process: an interrupted build leaves nothing mounted.
    cage = (
        "setpriv",
        "--pdeathsig",
        "KILL",
        "unshare",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
    )
    command = [
        *(*cage, "mmdebstrap", "--verbose", "--variant=minbase", "--mode=root"),
        f"--aptopt={work / 'apt.conf'}",
        "--dpkgopt=force-unsafe-io",
        *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("man", "locale", "doc")),
        f"--include={','.join(recipe.packages)}",
        *(recipe.suite, str(work / "root"), str(work / "lab.sources")),
    ]
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "TMPDIR": str(work)}
    environment |= {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
    tracker = BuildProgress(recipe.count, progress)
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=environment,
    ) as process:
        tail: list[str] = []
        try:
            for line in process.stdout or ():
                tracker.take(line)
                tail = [*tail, line.rstrip()][-_LOG_LINES:]
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0:
        values: dict[str, object] = {"suite": recipe.suite, "log": "\n".join(tail)}
        raise FindingsError([Finding("lab-image-failed", values=values)], exit_status=1)


class BuildProgress:
    """Tells from the lines of apt and dpkg how far a build is: each package is fetched, unpacked and configured."""

    _STEPS = (("Get:", "downloading"), ("Unpacking ", "unpacking"), ("Setting up ", "configuring"))

    def __init__(self, count: int, progress: Progress) -> None:
        self._expected = count
        self._announced = 0
        self._done = 0
        self._progress = progress

    def take(self, line: str) -> None:
        """Take a line of output."""
        match = re.search(r"(\d+) newly installed", line)
        if match:
            self._announced += int(match[1])
        for start, phase in self._STEPS:
            if line.startswith(start):
                self._done += 1
                total = max(self._expected, self._announced) * len(self._STEPS)
                self._progress(phase, min(1.0, self._done / total))


def _finish(root: Path) -> None:
    """Take from an installed system what would make all nodes one and the same machine."""
    for key in root.glob("etc/ssh/ssh_host_*"):
        key.unlink()
    (root / "etc/machine-id").write_text("", encoding="ascii")
