"""Databases, their users and their tables, where the server runs."""

from typing import Any

import pytest
from tests.unit.kinds.conftest import Cluster, done

from understudy.design.items import Database, Item, Schema
from understudy.findings import FindingsError, message_for
from understudy.kinds.database import DatabaseKind, SchemaKind
from understudy.kinds.model import Change, public
from understudy.secret import Secret

SOCKET = "/run/mysqld/mysqld.sock"
# What MariaDB's PASSWORD('password') gives.
PASSWORD, HASH = Secret("password"), "*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19"
ITEM = Database(name="glance", user="glance", password=PASSWORD, served_by="mariadb", socket=SOCKET)
SCHEMA = Schema(
    service="glance-api",
    database="glance",
    table="alembic_version",
    commands=(("glance-manage", "db_sync"), ("glance-manage", "db_load_metadefs")),
    user="glance",
    served_by="mariadb",
    socket=SOCKET,
    environment={"OS_BOOTSTRAP_PASSWORD": Secret("bootstrap")},
)
KINDS: dict[str, DatabaseKind | SchemaKind] = {"database": DatabaseKind(), "schema": SchemaKind()}


def serving(cluster: Cluster, rows: str, *, answers: bool = True) -> None:
    cluster.running["mariadb"] = "two"
    output = f"alive\t1\n{rows}" if answers else ""
    cluster.answers["run"] = lambda _: done(output, exit_status=0 if answers else 1, stderr="cannot connect")


async def change_of(cluster: Cluster, item: Item) -> Change | None:
    kind = KINDS[item.kind]
    return kind.compare(item, (await kind.observe(cluster.world(), [item]))[item.key])


@pytest.mark.parametrize("item", [ITEM, SCHEMA], ids=["database", "schema"])
async def test_it_is_pending_while_nothing_serves(cluster: Cluster, item: Item) -> None:
    change = await change_of(cluster, item)
    assert change is not None
    assert change.differences[0].before == "not known yet"
    serving(cluster, "", answers=False)
    assert await change_of(cluster, item) is not None


async def test_a_database_as_it_must_be_needs_nothing(cluster: Cluster) -> None:
    serving(cluster, f"database glance\t1\ngrants glance\t1\npassword glance\t{HASH}\n")
    assert await change_of(cluster, ITEM) is None
    assert [node for node, _ in cluster.ran("mariadb")] == ["two"]


@pytest.mark.parametrize(
    ("rows", "names"),
    [
        ("database glance\t0\ngrants glance\t0\n", ["database glance", "user glance"]),
        ("database glance\t1\ngrants glance\t0\n", ["user glance"]),
        ("database glance\t1\ngrants glance\t1\npassword glance\t*00\n", ["password of glance"]),
    ],
)
async def test_what_is_missing_is_shown_and_made(cluster: Cluster, rows: str, names: list[str]) -> None:
    serving(cluster, rows)
    change = await change_of(cluster, ITEM)
    assert change is not None
    assert [line.name for line in change.differences] == names
    assert "*00" not in str(public(change.observed))
    cluster.calls.clear()
    await KINDS["database"].apply(cluster.world(), change)
    ((node, call),) = cluster.calls
    assert node == "two"
    for words in (
        "CREATE DATABASE IF NOT EXISTS `glance`",
        "ALTER USER `glance`",
        "GRANT ALL",
        "BY 'password'",
    ):
        assert words in call["stdin"]
    assert "password" not in " ".join(call["argv"])


async def test_a_password_cannot_leave_its_quotes(cluster: Cluster) -> None:
    serving(cluster, "")
    hostile = Database(
        name="d", user="u", password=Secret("a'; DROP -- \\"), served_by="mariadb", socket=SOCKET
    )
    change = await change_of(cluster, hostile)
    assert change is not None
    cluster.calls.clear()
    await KINDS["database"].apply(cluster.world(), change)
    assert r"IDENTIFIED BY 'a\'; DROP -- \\'" in cluster.calls[0][1]["stdin"]


async def test_a_refused_statement_is_told(cluster: Cluster) -> None:
    serving(cluster, "")
    change = await change_of(cluster, ITEM)
    assert change is not None
    cluster.answers["run"] = lambda _: done(exit_status=1, stderr="ERROR 1290: read-only")
    with pytest.raises(FindingsError) as caught:
        await KINDS["database"].apply(cluster.world(), change)
    (finding,) = caught.value.findings
    assert finding.code == "command-failed"
    assert "read-only" in message_for(finding)
    assert "password" not in message_for(finding)


async def test_a_server_that_comes_nowhere_is_told(cluster: Cluster) -> None:
    change = await change_of(cluster, ITEM)
    assert change is not None
    with pytest.raises(FindingsError) as caught:
        await KINDS["database"].apply(cluster.world(), change)
    assert caught.value.findings[0].code == "resources-not-running"


async def test_tables_with_rows_need_nothing(cluster: Cluster) -> None:
    serving(cluster, "glance.alembic_version\t1\n")
    assert await change_of(cluster, SCHEMA) is None


@pytest.mark.parametrize("rows", ["", "glance.alembic_version\t0\n"])
async def test_empty_tables_are_filled_by_the_services_own_tool(cluster: Cluster, rows: str) -> None:
    serving(cluster, rows)
    change = await change_of(cluster, SCHEMA)
    assert change is not None
    assert change.differences[0].after == "glance-manage db_sync; glance-manage db_load_metadefs"
    cluster.calls.clear()
    await KINDS["schema"].apply(cluster.world(), change)
    assert [call["argv"] for _, call in cluster.calls] == [list(command) for command in SCHEMA.commands]
    for node, call in cluster.calls:
        assert (node, call["user"]) == ("two", "glance")
        assert call["environment"] == {"OS_BOOTSTRAP_PASSWORD": "bootstrap"}


async def test_a_tool_that_fails_stops_the_rest(cluster: Cluster) -> None:
    serving(cluster, "")
    change = await change_of(cluster, SCHEMA)
    assert change is not None

    def failing(_: dict[str, Any]) -> object:
        return done(exit_status=1, stderr="Traceback\nOperationalError: no such table")

    cluster.answers["run"] = failing
    cluster.calls.clear()
    with pytest.raises(FindingsError) as caught:
        await KINDS["schema"].apply(cluster.world(), change)
    assert caught.value.findings[0].values["reason"] == "OperationalError: no such table"
    assert len(cluster.calls) == 1
