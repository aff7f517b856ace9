"""Values fit their types exactly where oslo.config says so."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oslo_config import types

from understudy.catalog.option_data import Option
from understudy.catalog.option_types import expected, fits, fits_but_for_case

ORACLES: dict[str, tuple[Option, Callable[[str], object]]] = {
    "string": (Option("g", "o"), types.String()),
    "choice": (Option("g", "o", choices=("a", "b c")), types.String(choices=["a", "b c"])),
    "boolean": (Option("g", "o", "boolean"), types.Boolean()),
    "integer": (Option("g", "o", "integer"), types.Integer()),
    "limited": (Option("g", "o", "integer", minimum=-3, maximum=70), types.Integer(min=-3, max=70)),
    "numbers": (Option("g", "o", "integer", choices=("256", "512")), types.Integer(choices=[256, 512])),
    "float": (Option("g", "o", "floating point", minimum=0), types.Float(min=0)),
    "port": (Option("g", "o", "port"), types.Port()),
    "high port": (Option("g", "o", "port", minimum=1024), types.Port(min=1024)),
    "list": (Option("g", "o", "list"), types.List()),
    "dict": (Option("g", "o", "dict"), types.Dict()),
    "address": (Option("g", "o", "IP address"), types.IPAddress()),
    "host": (Option("g", "o", "host address"), types.HostAddress()),
    "domain": (Option("g", "o", "host domain"), types.HostDomain()),
    "hostname": (Option("g", "o", "hostname"), types.Hostname()),
    "uri": (Option("g", "o", "uri"), types.URI()),
}
VALUES = [
    "", " ", "a", "b c", "A", "true", "True", "yes", "on", "off", "maybe", "0", "1", "2", "-3", "-4", "70", "71", "1.5",
    "1_000", "1e3", "nan", "256", "300", "65535", "65536", "-1", "8776", "a,b", "k:v", "k:v,l:w", "k:v,k:w", "k:v,x",
    ":v", "x,k:v", "192.0.2.1", "192.0.2.256", "2001:db8::1", "192.0.2.1/24", "::", "controller-1", "controller_1",
    "api.example.org", "api.example.org.", "-bad.example.org", "example.123", "http://192.0.2.1:5000/v3", "http://",
    "192.0.2.1:5000", "http://[2001:db8::1]:9292", "controller-1:9292", "rabbit://u:p@h:5672/",
]  # fmt: skip


def accepted_by_oslo(oracle: Callable[[str], object], value: str) -> bool:
    try:
        oracle(value)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("kind", ORACLES)
def test_as_oslo_config(kind: str, value: str) -> None:
    option, oracle = ORACLES[kind]
    assert fits(option, value) == accepted_by_oslo(oracle, value)


@pytest.mark.parametrize(
    "kind", ["integer", "limited", "float", "port", "boolean", "dict", "address", "domain"]
)
@given(value=st.text(alphabet="0123456789abcTRUEtrue.:,-_ ", max_size=12))
def test_as_oslo_config_for_any_text(kind: str, value: str) -> None:
    option, oracle = ORACLES[kind]
    assert fits(option, value.strip()) == accepted_by_oslo(oracle, value.strip())


@pytest.mark.parametrize("value", ["$my_ip", "${my_ip}", "$keystone_authtoken.port"])
def test_a_reference_to_another_option_fits_everything(value: str) -> None:
    assert fits(Option("g", "o", "integer"), value)


@pytest.mark.parametrize("value", ["$$my_ip", r"\$my_ip", "$"])
def test_a_literal_dollar_is_no_reference(value: str) -> None:
    assert not fits(Option("g", "o", "integer"), value)


def test_a_choice_in_other_case_is_told_apart() -> None:
    option = Option("g", "o", choices=("round_robin", "random"))
    assert not fits(option, "Random")
    assert fits_but_for_case(option, "Random")
    assert not fits_but_for_case(option, "first")


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (Option("g", "o", "integer", minimum=1), "integer, at least 1"),
        (Option("g", "o", "integer", maximum=9), "integer, at most 9"),
        (Option("g", "o", "port"), "port, 0 to 65535"),
        (Option("g", "o", "boolean"), "true or false"),
        (Option("g", "o", choices=("a", "b")), "one of a, b"),
        (Option("g", "o", "host address"), "host address"),
    ],
)
def test_what_is_expected_is_said(option: Option, words: str) -> None:
    assert expected(option) == words
