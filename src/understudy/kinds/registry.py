"""All kinds, by the name that their items carry."""

from collections.abc import Mapping

from understudy.design.items import NodeItem, Sysctl, Unit
from understudy.kinds.cluster_resources import ClusterResourcesKind
from understudy.kinds.database import DatabaseKind, SchemaKind
from understudy.kinds.directory import DirectoryKind
from understudy.kinds.file import FileKind, RestoredFile, RestoredFileKind
from understudy.kinds.identity import EndpointKind, ServiceUserKind
from understudy.kinds.key_repository import KeyRepositoryKind
from understudy.kinds.membership import MembershipKind
from understudy.kinds.model import Kind
from understudy.kinds.options import OptionsKind
from understudy.kinds.package import PackageKind
from understudy.kinds.renewal import RenewalKind
from understudy.kinds.shared_directory import SharedDirectoryKind
from understudy.kinds.shared_filesystem import SharedFilesystemKind
from understudy.kinds.sysctl import SysctlKind
from understudy.kinds.unit import UnitKind

_ALL: tuple[Kind, ...] = (
    PackageKind(),
    FileKind(),
    RestoredFileKind(),
    OptionsKind(),
    DirectoryKind(),
    SysctlKind(),
    KeyRepositoryKind(),
    UnitKind(),
    MembershipKind(),
    SharedFilesystemKind(),
    ClusterResourcesKind(),
    SharedDirectoryKind(),
    DatabaseKind(),
    SchemaKind(),
    ServiceUserKind(),
    RenewalKind(),
    EndpointKind(),
)

KINDS: Mapping[str, Kind] = {kind.name: kind for kind in _ALL}

UNDOING: Mapping[str, type[NodeItem]] = {item.kind: item for item in (RestoredFile, Sysctl, Unit)}
"""The items that take a change back; a journal can hold them, for there is no secret in them."""
