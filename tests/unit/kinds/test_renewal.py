"""Certificates that a running service takes up without a restart."""

from typing import Any

import pytest
from tests.unit.kinds.conftest import Cluster, done

from understudy.design.items import Renewal
from understudy.findings import FindingsError
from understudy.kinds.renewal import RenewalKind

KIND = RenewalKind()
ITEM = Renewal(node="two", service="haproxy", digest="0123456789ab", command=("renew", "it"))
MARK = "/etc/ssl/understudy/haproxy.in-use"


def mark(content: str) -> dict[str, object]:
    return {"exists": True, "content": content, "digest": "d"} if content else {"exists": False}


async def test_what_it_has_taken_up_already_is_left(cluster: Cluster) -> None:
    cluster.answers["read-file"] = lambda _: mark("0123456789ab\n")
    observed = await KIND.observe(cluster.world(), [ITEM])
    assert KIND.compare(ITEM, observed[ITEM.key]) is None


@pytest.mark.parametrize("before", ["", "ba9876543210\n"])
async def test_the_mark_comes_after_the_service_has_read_them(cluster: Cluster, before: str) -> None:
    order: list[tuple[str, object]] = []

    def run(call: dict[str, Any]) -> object:
        order.append(("run", call["argv"]))
        return done()

    def write(call: dict[str, Any]) -> object:
        order.append((call["path"], call["content"]))
        return {}

    cluster.answers |= {"read-file": lambda _: mark(before), "run": run, "write-file": write}
    world = cluster.world()
    change = KIND.compare(ITEM, (await KIND.observe(world, [ITEM]))[ITEM.key])
    assert change is not None
    assert not change.impact
    await KIND.apply(world, change)
    assert order == [("run", ["renew", "it"]), (MARK, "0123456789ab\n")]


async def test_there_is_no_mark_when_it_refuses_them(cluster: Cluster) -> None:
    written: list[object] = []
    cluster.answers |= {
        "read-file": lambda _: mark(""),
        "run": lambda _: done(exit_status=1, stderr="no such certificate"),
        "write-file": written.append,
    }
    world = cluster.world()
    change = KIND.compare(ITEM, (await KIND.observe(world, [ITEM]))[ITEM.key])
    assert change is not None
    with pytest.raises(FindingsError) as caught:
        await KIND.apply(world, change)
    assert caught.value.findings[0].values["reason"] == "no such certificate"
    assert not written
