"""The programs' own parsers say what a file means; an edit changes that, and no byte besides."""

import io
from collections.abc import Mapping

import pytest
from hypothesis import assume, given, reject
from hypothesis import strategies as st
from oslo_config import cfg, iniparser

from understudy.findings import FindingsError
from understudy.formats.dialects import DialectName
from understudy.formats.oslo_ini import OptionFile, literal

SECTIONS = st.sampled_from(["DEFAULT", "default", "database", "Database", "a b", "x]y", "new"])
OPTIONS = st.sampled_from(["debug", "Debug", "connection", "a-b", "a_b", "with space", "é"])
SPACE = st.sampled_from(["", " ", "\t", "  "])
PIECES = st.text(st.sampled_from("ab \t\"'#;=:$\\[]%é\x0b\x1c\xa0"), max_size=6)
VALUES = st.one_of(
    PIECES,
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.sampled_from(["a\nb", "a\n\nb", "\n"]),
)
ENDS = st.sampled_from(["\n", "\r\n"])

LINES = st.one_of(
    st.builds("{}{}{}{}{}".format, OPTIONS, SPACE, st.sampled_from("=:"), SPACE, PIECES),
    st.builds("[{}]".format, SECTIONS),
    st.builds("{}{}".format, st.sampled_from([" ", "\t"]), PIECES),
    st.builds("{}{}".format, st.sampled_from("#;"), PIECES),
    st.builds("#{} = {}".format, OPTIONS, PIECES),
    st.just(""),
)


def oracle(text: str) -> dict[str, dict[str, list[str]]]:
    """Return what oslo.config reads from a file, by normalised section."""
    sections: dict[str, dict[str, list[str]]] = {}
    normalized: dict[str, dict[str, list[str]]] = {}
    parser = cfg.ConfigParser("file", sections)
    parser._add_normalized(normalized)
    iniparser.BaseParser.parse(parser, io.StringIO(text, newline=None).readlines())
    return {name: options for name, options in normalized.items() if options}


@st.composite
def files(draw: st.DrawFn) -> str:
    end = draw(ENDS)
    lines = draw(st.lists(LINES, max_size=12))
    text = "".join(line.replace("\n", "") + end for line in ["[DEFAULT]", *lines])
    text = text.removesuffix(end) if draw(st.booleans()) else text
    return draw(st.sampled_from([text, text, text, ""]))


def read(text: str) -> dict[str, dict[str, list[str]]]:
    file = OptionFile(text)
    found: dict[str, dict[str, list[str]]] = {}
    for section in file.sections():
        key = section if section == "DEFAULT" else section.lower()
        for option in file.options(section):
            found.setdefault(key, {})[option] = list(file.get_all(section, option))
    return found


@given(files())
def test_it_reads_what_oslo_config_reads_and_keeps_every_byte(text: str) -> None:
    try:
        expected = oracle(text)
    except cfg.ParseError:
        with pytest.raises(FindingsError):
            OptionFile(text)
        return
    assert read(text) == expected
    assert OptionFile(text).text == text


EDITS = st.lists(
    st.tuples(SECTIONS, OPTIONS, st.one_of(VALUES, st.none(), st.lists(VALUES, max_size=3))), max_size=5
)


def apply(file: OptionFile, expected: dict[str, dict[str, list[str]]], edit: tuple[str, str, object]) -> None:
    section, option, value = edit
    key = section if section == "DEFAULT" else section.lower()
    if value is None:
        file.remove(section, option)
        values = []
    else:
        values = list(value) if isinstance(value, list) else [str(value)]
        before = file.text
        try:
            file.set_all(section, option, values)
        except ValueError:
            assert file.text == before
            return
    expected.setdefault(key, {})[option] = values
    if not values:
        del expected[key][option]
    if not expected[key]:
        del expected[key]


@given(files(), EDITS)
def test_after_any_edits_oslo_config_reads_exactly_the_expected(
    text: str, edits: list[tuple[str, str, object]]
) -> None:
    try:
        expected = oracle(text)
    except cfg.ParseError:
        reject()
    file = OptionFile(text)
    for edit in edits:
        apply(file, expected, edit)
        assert oracle(file.text) == expected
    again = OptionFile(file.text)
    for section, options in expected.items():
        for option, values in options.items():
            again.set_all(section, option, values)
    assert again.text == file.text


@given(files(), SECTIONS, OPTIONS, PIECES)
def test_taking_an_edit_back_leaves_the_rest_untouched(
    text: str, section: str, option: str, value: str
) -> None:
    try:
        present = oracle(text)
    except cfg.ParseError:
        reject()
    file = OptionFile(text)
    key = section if section == "DEFAULT" else section.lower()
    assume(option not in present.get(key, {}))
    known = key in {name if name == "DEFAULT" else name.lower() for name in file.sections()}
    file.set(section, option, value)
    file.remove(section, option)
    assert file.text.startswith(text)
    if known:
        assert file.text.removeprefix(text) in {"", "\n", "\r\n"}


PRINTABLE = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1)


@given(st.one_of(PRINTABLE, st.text(st.sampled_from("a$\\{}"), min_size=1)))
def test_a_literal_value_reaches_the_service_as_it_is(
    tmp_path_factory: pytest.TempPathFactory, value: str
) -> None:
    file = OptionFile("")
    file.set("DEFAULT", "connection", literal(value))
    path = tmp_path_factory.getbasetemp() / "service.conf"
    path.write_text(file.text, encoding="utf-8")
    options = cfg.ConfigOpts()
    options.register_opt(cfg.StrOpt("connection"))
    options(["--config-file", str(path)], default_config_files=[])
    assert options.connection == value


SCALARS: Mapping[DialectName, st.SearchStrategy[str]] = {
    "mysql": st.text(st.sampled_from("ab \t\"'#;=\\né\r")),
    "sysctl": st.text(st.sampled_from("ab12 =#;.")).map(str.strip),
}


@pytest.mark.parametrize("dialect", ["mysql", "sysctl"])
@given(st.data())
def test_other_dialects_give_back_what_was_set(dialect: DialectName, data: st.DataObject) -> None:
    section = "mysqld" if dialect == "mysql" else ""
    file = OptionFile("# first\n" if not section else "[client]\nport\n!includedir /etc/x\n", dialect)
    value = data.draw(SCALARS[dialect])
    file.set(section, "net.ipv4.conf-x", value)
    assert OptionFile(file.text, dialect).get(section, "net.ipv4.conf-x") == value
    file.set(section, "other", "1")
    file.set(section, "net.ipv4.conf-x", "2")
    assert OptionFile(file.text, dialect).get_all(section, "net.ipv4.conf-x") == ("2",)
    assert OptionFile(file.text, dialect).get_all(section, "other") == ("1",)
