"""What every probe is, and how its operations fail."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

MADE_BY = "understudy-drill-"
"""How the names of all begin that clients of drills make in a cloud."""


@dataclass(frozen=True)
class ProbeSettings:
    """One client: ``rate`` operations a second, each given up after ``deadline`` seconds.

    ``parameters`` belong to the kind of the probe and may hold credentials; they are never recorded.
    """

    client: str
    service: str
    kind: str
    address: str
    port: int = 0
    rate: float = 20.0
    deadline: float = 1.0
    parameters: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def text(self, name: str, default: str = "") -> str:
        """Return a parameter as text."""
        return str(self.parameters.get(name, default))


class NotServedError(Exception):
    """The service answered, but not as it should; the message is short, for the record."""


class Probe:
    """A client of a service; ``writes`` says that an operation without an answer may have happened."""

    writes: ClassVar[bool] = False

    def __init__(self, settings: ProbeSettings) -> None:
        self.settings = settings

    async def prepare(self) -> None:
        """Do what comes before the first operation, such as logging in; may fail as operations do."""

    def busy(self) -> bool:
        """Tell whether no operation can begin now, as the only connection is in use; it begins at the next tick."""
        return False

    async def operate(self, number: int) -> str:
        """Do one operation and return what it wrote, if anything.

        Raises NotServedError or OSError; the deadline is kept by the caller.
        """
        raise NotImplementedError

    async def collect(self) -> list[str] | None:
        """Return everything that was written and is there now; None for a probe that does not write."""
        return None

    async def tidy(self) -> None:
        """Remove what the operations have made."""
