"""crmsh's language: what ``crm configure load update FILE`` takes, and what administrators write by hand.

``render`` writes a configuration, ``parse`` reads one with the place of everything that is not understood.
"""

from understudy.formats.crmsh.read import parse
from understudy.formats.crmsh.write import Rendered, quote, render

__all__ = ["Rendered", "parse", "quote", "render"]
