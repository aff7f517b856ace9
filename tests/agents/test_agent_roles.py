"""What tells the L3 agent of a virtual router's state is ended when it says what is not so, and only then."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.agents.conftest import apart

CORE = Path(__file__).parents[2] / "src" / "understudy" / "agents"
SITE = """
for router in active standby; do
    ip netns add qrouter-$router
    ip -n qrouter-$router link add ha-1 type veth peer name ha-2
    ip -n qrouter-$router link set ha-1 up
    ip -n qrouter-$router address add 169.254.192.7/18 dev ha-1
done
ip -n qrouter-active address add 169.254.0.40/24 dev ha-1
"""
PROGRAM = """
import os, subprocess, sys
sys.path.insert(0, sys.argv[1])
from understudy_agent import roles

def say(router, state):
    os.makedirs("/run/netns/states/" + router, exist_ok=True)
    with open("/run/netns/states/" + router + "/state", "w") as stream:
        stream.write(state)

def look():
    watched._next = 0
    watched.step()
    return [name for name, process in listening.items() if process.poll() is None]

names = ("active", "standby", "gone")
listening = {
    name: subprocess.Popen([roles.PROGRAM, "-c", "import time; time.sleep(60)", "--router_id=" + name],
                           executable=sys.executable) for name in names
}
home = os.stat("/proc/self/ns/net").st_ino
watched = roles.Roles("/run/netns/states")
say("active", "primary"), say("standby", "backup"), say("gone", "primary")
roles.PATIENCE = 0
print("all as it is:", look(), look())
say("active", "backup")
roles.PATIENCE = 60
print("wrong for a moment:", look(), look())
roles.PATIENCE = 0
look()
listening["active"].wait(5)
print("wrong for long:", look())
say("active", "primary"), say("standby", "master")
look()
listening["standby"].wait(5)
print("active in words only:", look())
print("at home:", os.stat("/proc/self/ns/net").st_ino == home)
for process in listening.values():
    process.kill()
"""


@pytest.mark.root
def test_what_says_for_long_what_is_not_so_is_ended() -> None:
    done = apart(f"set -e\n{SITE}\nexec python3 -IS -c \"$0\" '{CORE}'\n", PROGRAM)
    assert done.returncode == 0, done.stderr
    assert dict(line.split(": ", 1) for line in done.stdout.splitlines()) == {
        "all as it is": "['active', 'standby', 'gone'] ['active', 'standby', 'gone']",
        "wrong for a moment": "['active', 'standby', 'gone'] ['active', 'standby', 'gone']",
        "wrong for long": "['standby', 'gone']",
        "active in words only": "['gone']",
        "at home": "True",
    }
