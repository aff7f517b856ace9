"""The cluster's own programs, to try on files what we wrote for them."""

import subprocess
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from understudy.agents import address_agent, deployment
from understudy.lab.image import ensure_image, recipe_for

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run]:
    """Return a folder, and a way to run programs in it inside of the lab's image, which stays as it is."""
    image, folder = ensure_image(recipe_for("debian", "zed")), tmp_path_factory.mktemp("tools")
    script = (
        'set -e; mount -t tmpfs none "$1"; mkdir "$1/up" "$1/work" "$1/root"; '
        'mount -t overlay overlay -o "lowerdir=$2,upperdir=$1/up,workdir=$1/work" "$1/root"; '
        'mkdir -p "$1/root/mnt"; mount --bind "$3" "$1/root/mnt"; mount -t proc proc "$1/root/proc"; '
        'mount --bind /dev "$1/root/dev"; root=$1/root; shift 3; '
        'exec chroot "$root" sh -c \'cd /mnt; exec "$@"\' sh "$@"'
    )

    def run(*argv: str) -> subprocess.CompletedProcess[str]:
        place = tmp_path_factory.mktemp("root")
        environment = ["env", "-i", "LC_ALL=C.UTF-8", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"]
        command = ["unshare", "--mount", "sh", "-c", script, "sh", str(place), str(image), str(folder)]
        return subprocess.run(
            [*command, *environment, *argv], capture_output=True, text=True, timeout=180, check=False
        )

    return folder, run


@pytest.fixture(scope="session")
def with_agents(tools: tuple[Path, Run]) -> tuple[Path, Run]:
    """Put every agent of ours where the tools look for agents."""
    folder, run = tools
    data = {}
    for source in (resources.files("understudy.catalog") / "services").iterdir():
        entry = YAML(typ="safe").load(source.read_text(encoding="utf-8"))
        if entry.get("agent"):
            data[source.name.removesuffix(".yaml")] = entry["agent"]
    for file in (address_agent(), *deployment(data)):
        path = folder / "agents" / file.path.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.content, encoding="utf-8")
        path.chmod(file.mode)
    return folder, run
