"""Where in the operator's file each value stands."""

from collections.abc import Sequence
from typing import Any

from ruamel.yaml.comments import CommentedMap, CommentedSeq

from understudy.findings import Place

Path = Sequence[str | int]


class Places:
    """Maps a path such as ``("nodes", "controller-1", "public")`` to line and column of its key or value."""

    def __init__(self, file: str, document: Any) -> None:  # noqa: ANN401 - ruamel's documents have no common type
        self.file = file
        self._document = document

    def key(self, *path: str | int) -> Place:
        """Return where the key stands; the nearest parent that exists when it does not."""
        return self._find(path, want_value=False)

    def value(self, *path: str | int) -> Place:
        """Return where the value stands; the nearest parent that exists when it does not."""
        return self._find(path, want_value=True)

    def _find(self, path: Path, *, want_value: bool) -> Place:
        node = self._document
        line, column = 0, 0
        for step in path:
            if isinstance(node, CommentedMap) and step in node:
                line, column = node.lc.value(step) if want_value else node.lc.key(step)
            elif isinstance(node, CommentedSeq) and isinstance(step, int) and step < len(node):
                line, column = node.lc.item(step)
            else:
                break
            node = node[step]
        return Place(self.file, line + 1, column + 1)
