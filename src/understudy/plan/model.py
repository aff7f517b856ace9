"""A plan: the ordered changes from what was observed to what must be true (pure)."""

import hashlib
import json
from dataclasses import dataclass

from understudy.design.items import phase_of
from understudy.kinds.model import Change, public

FORMAT = 1


@dataclass(frozen=True)
class Plan:
    """Changes in the order of their phases.

    ``digest`` stands for the changes and for what was observed where they change something. ``foreign`` names what is
    in the cluster and is not ours; ``notes`` are sentences for a person, such as what Pacemaker will do. A rollback
    goes ``backwards``: the last phase comes first.
    """

    cloud: str
    changes: tuple[Change, ...]
    digest: str
    foreign: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    backwards: bool = False

    @property
    def empty(self) -> bool:
        """Whether nothing has to change."""
        return not self.changes

    @property
    def impacts(self) -> tuple[str, ...]:
        """What clients will notice, each once, in order."""
        return tuple(dict.fromkeys(change.impact for change in self.changes if change.impact))

    def as_json(self) -> dict[str, object]:
        """Return the plan as plain data, the same for the same plan; no secret is in it."""
        return {
            "format": FORMAT,
            "cloud": self.cloud,
            "digest": self.digest,
            "backwards": self.backwards,
            "changes": [change_as_json(change) for change in self.changes],
            "impacts": list(self.impacts),
            "foreign": list(self.foreign),
            "notes": list(self.notes),
        }


def change_as_json(change: Change) -> dict[str, object]:
    """Return a change as plain data."""
    item = change.item
    return {
        "key": item.key,
        "kind": item.kind,
        "target": item.target,
        "subject": item.subject,
        "phase": phase_of(item).name.lower().replace("_", "-"),
        "reason": item.reason,
        "impact": change.impact,
        "reversible": change.reversible,
        "observed": digest_of(change.observed),
        "differences": [
            {
                "name": difference.name,
                "before": difference.before,
                "after": difference.after,
                "reason": difference.reason,
                "secret": difference.secret,
            }
            for difference in change.differences
        ],
    }


def digest_of(observed: object) -> str:
    """Return a digest of the public part of observed data."""
    text = json.dumps(public(observed), sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:20]


def digest_of_all(cloud: str, changes: tuple[Change, ...]) -> str:
    """Return the digest of a plan.

    What was observed elsewhere is left out: it may move, as a cluster does, without the plan being another one.
    """
    return digest_of({"cloud": cloud, "changes": [change_as_json(change) for change in changes]})
