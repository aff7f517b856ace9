"""Pacemaker's own language: the CIB (cluster information base) as XML.

``render`` writes a configuration, ``parse`` reads one, ``merge`` puts ours into a live CIB without touching what is
not ours, ``diff`` says what differs as a person would, ``canonical`` makes two CIBs comparable.
"""

from understudy.formats.cib.canonical import canonical
from understudy.formats.cib.diff import ObjectChange, diff
from understudy.formats.cib.document import Ids, configuration_of, load
from understudy.formats.cib.merge import Merged, merge
from understudy.formats.cib.read import parse
from understudy.formats.cib.render import fencing_level_id, owned_ids, render, with_owner_tag

__all__ = [
    "Ids",
    "Merged",
    "ObjectChange",
    "canonical",
    "configuration_of",
    "diff",
    "fencing_level_id",
    "load",
    "merge",
    "owned_ids",
    "parse",
    "render",
    "with_owner_tag",
]
