"""What must be in storage, databases and Keystone (pure)."""

from collections.abc import Iterator, Mapping

from understudy.catalog.model import SchemaStep
from understudy.design.context import Cloud, ServiceContext, storage_resource
from understudy.design.items import (
    Database,
    Endpoint,
    IdentityAccess,
    Interface,
    Item,
    Schema,
    ServiceUser,
    SharedDirectory,
    SharedFilesystem,
)
from understudy.spec.tls import AUTHORITY, has_authority, pem

SERVICE_PROJECT = "service"
ADMIN = "admin"
INTERFACES: Mapping[Interface, str] = {"public": "public", "internal": "internal", "admin": "internal"}
"""Interface of an endpoint to the side of the virtual address that it is on."""


def data_items(cloud: Cloud) -> Iterator[Item]:
    """Give everything that lives in shared storage, databases and Keystone; what services share, once."""
    once: dict[str, Item] = {}
    for item in _data_items(cloud):
        once.setdefault(item.key, item)
    yield from once.values()


def _data_items(cloud: Cloud) -> Iterator[Item]:
    yield from _filesystems(cloud)
    for name in cloud.spec.services:
        yield from _directory(cloud, name)
        yield from _database(cloud, name)
    keystone = cloud.provider("identity")
    if keystone is not None:
        access = identity_access(cloud, keystone)
        for name in cloud.spec.services:
            yield from _identity(cloud, name, access)


def identity_access(cloud: Cloud, keystone: str) -> IdentityAccess:
    """Return how to reach Keystone as its administrator."""
    return IdentityAccess(
        url=f"{cloud.url(keystone)}/v3",
        user=ADMIN,
        project=ADMIN,
        password=cloud.secret("identity-admin"),
        region=cloud.spec.region,
        authority=cloud.secret(pem(AUTHORITY)).reveal() if has_authority(cloud.spec) else "",
    )


def _filesystems(cloud: Cloud) -> Iterator[SharedFilesystem]:
    for name, storage in cloud.spec.storage.items():
        yield SharedFilesystem(
            name=name,
            device=storage.device,
            filesystem=storage.filesystem,
            nodes=tuple(cloud.spec.nodes),
            reason="shared storage",
        )


def _directory(cloud: Cloud, name: str) -> Iterator[SharedDirectory]:
    entry, service = cloud.entry(name), cloud.spec.services[name]
    if entry.data is None or service.storage is None:
        return
    user = cloud.select(entry.user)[0]
    context = ServiceContext(cloud, name)
    yield SharedDirectory(
        path=f"{cloud.mount(service.storage).mount}/{entry.data.directory}",
        owner=user.name,
        group=user.group,
        mode=entry.data.mode,
        mounted_by=storage_resource(service.storage),
        initialise=tuple(context.text(word) for word in entry.data.initialise),
        reason=f"data of {entry.title}",
    )


def _database(cloud: Cloud, name: str) -> Iterator[Item]:
    entry = cloud.entry(name)
    server = cloud.provider("database")
    if entry.database is None or server is None:
        return
    socket = cloud.entry(server).socket
    for database in (entry.database.name, *entry.database.further):
        yield Database(
            name=database,
            user=entry.database.name,
            password=cloud.secret(f"database-{entry.database.name}"),
            served_by=server,
            socket=socket,
            reason=entry.title,
        )
    for step in cloud.select(entry.database.schema_steps):
        yield _schema(cloud, name, step, server, socket)


def _schema(cloud: Cloud, name: str, step: SchemaStep, server: str, socket: str) -> Schema:
    entry = cloud.entry(name)
    context = ServiceContext(cloud, name)
    commands = tuple(
        tuple(context.text(word) for word in command.argv) for command in cloud.select(step.commands)
    )
    return Schema(
        service=name,
        database=step.database or (entry.database.name if entry.database else name),
        table=step.table,
        commands=commands,
        user=cloud.select(entry.user)[0].name,
        served_by=server,
        socket=socket,
        environment={variable: cloud.secret(secret) for variable, secret in step.environment.items()},
        reason=entry.title,
    )


def _identity(cloud: Cloud, name: str, access: IdentityAccess) -> Iterator[Item]:
    entry = cloud.entry(name)
    if entry.identity is None:
        return
    if entry.identity.user:
        yield ServiceUser(
            name=entry.identity.user,
            project=SERVICE_PROJECT,
            role=ADMIN,
            password=cloud.secret(f"identity-{entry.identity.user}"),
            access=access,
            reason=f"{entry.title} authenticates with it",
        )
    for endpoint in cloud.select(entry.identity.endpoints):
        for interface, side in INTERFACES.items():
            yield Endpoint(
                service_name=endpoint.service,
                service_type=endpoint.type,
                interface=interface,
                url=f"{cloud.url(name, side)}{endpoint.path}",
                access=access,
                reason=f"clients find {entry.title} at its virtual address",
            )
