"""A value that must not be seen by accident."""

from typing import NoReturn

MASK = "********"


class Secret:
    """Text such as a password: every way to print it gives a mask, JSON and pickle refuse it.

    Only ``reveal`` gives the text; call it where the text is written to its protected place, nowhere earlier.
    Two secrets are equal when their texts are.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself."""
        return self._text

    def __repr__(self) -> str:
        return f"Secret({MASK!r})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, specification: str) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __copy__(self) -> "Secret":
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> "Secret":
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not serialised; reveal it where it is needed")


def reveal(value: "str | Secret") -> str:
    """Return the text of a value that may be secret."""
    return value.reveal() if isinstance(value, Secret) else value
