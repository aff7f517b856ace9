"""Kinds database and schema: what is in the database server, through its local socket where it runs."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar, cast

from understudy.design.items import Database, Item, Schema
from understudy.findings import Finding, FindingsError
from understudy.kinds import pacemaker
from understudy.kinds.common import Irreversible, expect, items_of
from understudy.kinds.model import Change, Difference, World

CLIENT = ("mariadb", "--batch", "--skip-column-names", "--connect-timeout=10")
SERVE_SECONDS = 120
SCHEMA_SECONDS = 300

Served = TypeVar("Served", Database, Schema)


class DatabaseKind(Irreversible):
    """A database and the user that owns it."""

    name = Database.kind

    async def observe(self, world: World, items: Sequence[Item]) -> Mapping[str, object]:
        """Return for each database whether it and its user exist, and the user's password as the server keeps it."""
        wanted = items_of(items, Database)
        observed: dict[str, object] = {item.key: {"served": False} for item in wanted}
        for server, of_server in _by_server(wanted).items():
            queries = [query for item in of_server for query in _database_queries(item)]
            answers = await _ask(world, server, of_server[0].socket, queries)
            if answers is not None:
                observed |= {item.key: _database_state(item, answers) for item in of_server}
        return observed

    def compare(self, item: Item, observed: object) -> Change | None:
        """Return what is missing or different."""
        item = expect(item, Database)
        seen = cast("Mapping[str, Any]", observed)
        if not seen["served"]:
            return Change(
                item, (Difference(item.name, "not known yet", "present"),), observed, reversible=False
            )
        differences = []
        if not seen["database"]:
            differences.append(Difference(f"database {item.name}", None, "present"))
        if not seen["grants"]:
            differences.append(Difference(f"user {item.user}", None, f"owner of {item.name}"))
        elif seen["_password"] != _native_hash(item.password.reveal()):
            differences.append(Difference(f"password of {item.user}", "another", "the spec's", secret=True))
        return Change(item, tuple(differences), observed, reversible=False) if differences else None

    async def apply(self, world: World, change: Change) -> None:
        """Create or correct database, user and grants."""
        item = expect(change.item, Database)
        await _server(world, item)
        password = _quoted(item.password.reveal())
        statements = [
            f"CREATE DATABASE IF NOT EXISTS `{item.name}` CHARACTER SET utf8mb3",
            f"CREATE USER IF NOT EXISTS `{item.user}`@`%` IDENTIFIED BY {password}",
            f"ALTER USER `{item.user}`@`%` IDENTIFIED BY {password}",
            f"GRANT ALL PRIVILEGES ON `{item.name}`.* TO `{item.user}`@`%`",
        ]
        await _execute(world, item.served_by, item.socket, statements)


class SchemaKind(Irreversible):
    """The tables of a service, made by its own tool."""

    name = Schema.kind

    async def observe(self, world: World, items: Sequence[Item]) -> Mapping[str, object]:
        """Return for each table whether it has rows."""
        wanted = items_of(items, Schema)
        observed: dict[str, object] = {item.key: {"served": False} for item in wanted}
        for server, of_server in _by_server(wanted).items():
            queries = [
                f"SELECT '{item.subject}', COUNT(*) FROM (SELECT 1 FROM `{item.database}`.`{item.table}` LIMIT 1) t"
                for item in of_server
            ]
            answers = await _ask(world, server, of_server[0].socket, queries)
            if answers is not None:
                observed |= {
                    item.key: {"served": True, "filled": answers.get(item.subject) == "1"}
                    for item in of_server
                }
        return observed

    def compare(self, item: Item, observed: object) -> Change | None:
        """Return the running of the service's tool when the table is empty or absent."""
        item = expect(item, Schema)
        seen = cast("Mapping[str, Any]", observed)
        if seen["served"] and seen["filled"]:
            return None
        before = "empty" if seen["served"] else "not known yet"
        after = "; ".join(" ".join(command[:2]) for command in item.commands)
        return Change(item, (Difference(item.subject, before, after),), observed, reversible=False)

    async def apply(self, world: World, change: Change) -> None:
        """Run the service's own commands where the database runs."""
        item = expect(change.item, Schema)
        node = await _server(world, item)
        environment = {name: value.reveal() for name, value in item.environment.items()}
        for command in item.commands:
            done = await world.node(node).ask(
                "run", argv=list(command), user=item.user, environment=environment, limit=SCHEMA_SECONDS
            )
            if done["exit_status"] != 0:
                reason = (done["stderr"] or done["stdout"]).strip().splitlines()[-1:] or ["no message"]
                values = {"command": " ".join(command[:2]), "node": node, "reason": reason[0]}
                raise FindingsError([Finding("command-failed", values=values, subject=node)], exit_status=1)


async def _server(world: World, item: Database | Schema) -> str:
    """Return the node on which the server runs, as last seen; wait for it where it ran nowhere."""
    seen = await pacemaker.view(world)
    node = seen.where(item.served_by) if seen else None
    if node is None:
        seen = await pacemaker.wait_running(world, [item.served_by], SERVE_SECONDS)
        node = seen.where(item.served_by) or seen.asked
    return node


def _by_server(items: Iterable[Served]) -> dict[str, list[Served]]:
    servers: dict[str, list[Served]] = {}
    for item in items:
        servers.setdefault(item.served_by, []).append(item)
    return servers


async def _ask(world: World, server: str, socket: str, queries: Sequence[str]) -> dict[str, str] | None:
    """Return the rows of all queries as key and value; None when the server runs nowhere or does not answer.

    A query about a table that does not exist gives no row and stops nothing.
    """
    seen = await pacemaker.view(world)
    node = seen.where(server) if seen else None
    if node is None:
        return None
    argv = [*CLIENT, "--force", f"--socket={socket}"]
    statements = ["SELECT 'alive', '1'", *queries]
    done = await world.node(node).ask("run", argv=argv, stdin=";\n".join(statements) + ";\n", limit=30)
    rows = dict(line.split("\t", 1) for line in done["stdout"].splitlines() if "\t" in line)
    return rows if "alive" in rows else None


async def _execute(world: World, server: str, socket: str, statements: Sequence[str]) -> None:
    seen = await pacemaker.view(world)
    node = seen.where(server) if seen else None
    if node is None:
        raise FindingsError([Finding("database-nowhere", subject=server)], exit_status=1)
    argv = [*CLIENT, f"--socket={socket}"]
    done = await world.node(node).ask("run", argv=argv, stdin=";\n".join(statements) + ";\n", limit=60)
    if done["exit_status"] != 0:
        values = {"command": CLIENT[0], "node": node, "reason": done["stderr"].strip()[-400:]}
        raise FindingsError([Finding("command-failed", values=values, subject=node)], exit_status=1)


def _database_queries(item: Database) -> list[str]:
    name, user = item.name, item.user
    return [
        f"SELECT 'database {name}', COUNT(*) FROM information_schema.schemata WHERE schema_name = '{name}'",
        f"SELECT 'grants {name}', COUNT(*) FROM mysql.db WHERE db='{name}' AND user='{user}' AND create_priv='Y'",
        f"SELECT 'password {name}', authentication_string FROM mysql.user WHERE user='{user}' AND host='%'",
    ]


def _database_state(item: Database, answers: Mapping[str, str]) -> dict[str, object]:
    return {
        "served": True,
        "database": answers.get(f"database {item.name}") == "1",
        "grants": answers.get(f"grants {item.name}") == "1",
        "_password": answers.get(f"password {item.name}"),
    }


def _native_hash(password: str) -> str:
    """Return what MariaDB keeps of a password (mysql_native_password)."""
    once = hashlib.sha1(password.encode(), usedforsecurity=False).digest()
    return "*" + hashlib.sha1(once, usedforsecurity=False).hexdigest().upper()


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
