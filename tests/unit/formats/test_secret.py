import copy
import json
import pickle
from dataclasses import asdict, dataclass

import pytest

from understudy.secret import Secret, reveal


def test_no_way_of_printing_shows_the_text() -> None:
    secret = Secret("hunter2")
    shown = [
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret!r:>20}",
        repr({"a": [secret]}),
    ]
    assert not any("hunter2" in text for text in shown)


def test_it_is_not_serialised_by_accident() -> None:
    secret = Secret("hunter2")
    with pytest.raises(TypeError):
        json.dumps({"password": secret})
    with pytest.raises(TypeError):
        pickle.dumps(secret)


def test_it_survives_dataclasses_and_copies() -> None:
    @dataclass(frozen=True)
    class Holder:
        password: Secret

    holder = Holder(Secret("hunter2"))
    assert asdict(holder)["password"] == Secret("hunter2")
    assert copy.deepcopy(holder) == holder
    assert hash(Secret("a")) == hash(Secret("a"))
    assert Secret("a") != Secret("b")


def test_reveal_gives_the_text_of_both() -> None:
    assert reveal("plain") == "plain"
    assert reveal(Secret("hunter2")) == "hunter2"
