import pytest

from understudy.findings import FindingsError, message_for
from understudy.formats.dialects import DialectName
from understudy.formats.oslo_ini import OptionFile, literal
from understudy.secret import Secret

SAMPLE = """\
[DEFAULT]

#
# From glance.api
#

# The address to listen on. (host address value)
#bind_host = 0.0.0.0

# Note: bind_port is read at start
#bind_port = 9292

log_file = /var/log/glance/api.log
  ,second

# The database
# to use
[database]
connection : sqlite://
Connection = kept

[keystone_authtoken]"""


def edited(text: str, section: str, option: str, *values: str, dialect: DialectName = "oslo") -> str:
    file = OptionFile(text, dialect)
    file.set_all(section, option, values)
    return file.text


def test_a_new_option_goes_behind_its_commented_sample() -> None:
    assert edited(SAMPLE, "DEFAULT", "bind_host", "192.0.2.3") == SAMPLE.replace(
        "#bind_host = 0.0.0.0\n", "#bind_host = 0.0.0.0\nbind_host = 192.0.2.3\n"
    )


def test_without_a_sample_it_goes_to_the_end_of_the_section_before_the_next_ones_comment() -> None:
    assert edited(SAMPLE, "DEFAULT", "workers", "4") == SAMPLE.replace(
        "  ,second\n", "  ,second\nworkers = 4\n"
    )
    assert edited(SAMPLE, "database", "max_retries", "-1") == SAMPLE.replace(
        "kept\n", "kept\nmax_retries = -1\n"
    )


def test_the_last_section_may_end_without_a_newline() -> None:
    assert edited(SAMPLE, "keystone_authtoken", "region", "one") == SAMPLE + "\nregion = one\n"


def test_a_section_that_is_not_there_is_made_at_the_end() -> None:
    assert edited(SAMPLE, "oslo_limit", "x", "1") == SAMPLE + "\n\n[oslo_limit]\nx = 1\n"
    assert edited("", "DEFAULT", "x", "1") == "[DEFAULT]\nx = 1\n"


def test_a_set_option_is_changed_where_it_stands_and_keeps_its_spelling() -> None:
    assert edited(SAMPLE, "DATABASE", "connection", "mysql://") == SAMPLE.replace("sqlite://", "mysql://")
    assert edited(SAMPLE, "DEFAULT", "log_file", "a", "b") == SAMPLE.replace(
        "log_file = /var/log/glance/api.log\n  ,second\n", "log_file = a\nlog_file = b\n"
    )


def test_the_same_value_touches_nothing() -> None:
    assert edited(SAMPLE, "DEFAULT", "log_file", "/var/log/glance/api.log\n,second") == SAMPLE


def test_a_value_that_goes_on_is_one_value_and_goes_with_its_option() -> None:
    file = OptionFile(SAMPLE)
    assert file.get_all("DEFAULT", "log_file") == ("/var/log/glance/api.log\n,second",)
    file.remove("DEFAULT", "log_file")
    assert file.text == SAMPLE.replace("log_file = /var/log/glance/api.log\n  ,second\n", "")


def test_line_ends_stay_as_they_are() -> None:
    assert edited("[a]\r\nx=1\r\n", "a", "y", "2") == "[a]\r\nx=1\r\ny = 2\r\n"
    assert edited("[a]\r\nx=1", "a", "x", "2") == "[a]\r\nx=2"


def test_options_before_the_first_section_are_seen_and_left() -> None:
    file = OptionFile("x = 1\n[a]\nx = 2\n")
    assert file.get("", "x") == "1"
    file.set("a", "x", "3")
    assert file.text == "x = 1\n[a]\nx = 3\n"


def test_space_and_quotes_at_the_ends_are_kept_by_quotes() -> None:
    assert edited("[a]\n", "a", "x", " y ") == '[a]\nx = " y "\n'
    assert edited("[a]\n", "a", "x", '"y"') == '[a]\nx = ""y""\n'


@pytest.mark.parametrize("value", ["a\r", "a\n", "a\n\nb", "a\n b", "a\nb "])
def test_a_value_that_oslo_config_cannot_hold_is_refused(value: str) -> None:
    file = OptionFile("[a]\n")
    with pytest.raises(ValueError, match="cannot be written"):
        file.set("b", "x", value)
    assert file.text == "[a]\n"


@pytest.mark.parametrize("option", ["", " x", "a=b", "a:b", "[x", "#x", "a\nb"])
def test_a_name_that_cannot_be_read_back_is_refused(option: str) -> None:
    with pytest.raises(ValueError, match="cannot be written"):
        OptionFile("[a]\n").set("a", option, "1")


@pytest.mark.parametrize("section", ["a\nb", "a\r", "a]\n[b"])
def test_a_section_that_cannot_be_read_back_is_refused(section: str) -> None:
    with pytest.raises(ValueError, match="section"):
        OptionFile("[a]\n").set(section, "x", "1")


def test_a_secret_is_written_and_never_said() -> None:
    file = OptionFile("[a]\n")
    file.set("a", "password", Secret("hunter2"))
    assert file.get("a", "password") == "hunter2"
    with pytest.raises(ValueError, match="cannot be written") as caught:
        file.set("a", "password", Secret("hunter2\r"))
    assert "hunter2" not in str(caught.value)


def test_every_bad_line_is_a_finding_with_its_place() -> None:
    with pytest.raises(FindingsError) as caught:
        OptionFile("[a]\nx = 1\nnonsense\n[b\n\n  indented\n= 1\n", file="/etc/x.conf")
    findings = caught.value.findings
    assert [str(finding.place) for finding in findings] == [f"/etc/x.conf:{line}:1" for line in (3, 4, 6, 7)]
    assert {finding.code for finding in findings} == {"ini-syntax"}
    assert message_for(findings[0])


def test_a_dollar_sign_can_be_meant() -> None:
    assert literal("a$b$$") == "a$$b$$$$"
    assert literal("a\\$b") == "a\\\\$b"


MYSQL = """\
!includedir /etc/mysql/conf.d/
[mysqld]
skip-name-resolve
#port = 3306
bind_address = 127.0.0.1 # only here
  socket="/run/my sql.sock"
"""


def test_mariadbs_files() -> None:
    file = OptionFile(MYSQL, "mysql")
    assert file.get("mysqld", "skip_name_resolve") == ""
    assert file.get("mysqld", "bind-address") == "127.0.0.1"
    assert file.get("mysqld", "socket") == "/run/my sql.sock"
    file.set("mysqld", "bind-address", "192.0.2.1")
    file.set("mysqld", "port", "3307")
    file.set("mysqld", "skip-slave-start", "")
    assert file.text == (
        MYSQL.replace("bind_address = 127.0.0.1 # only here", "bind_address = 192.0.2.1").replace(
            "#port = 3306\n", "#port = 3306\nport = 3307\n"
        )
        + "skip-slave-start\n"
    )


def test_a_password_with_a_hash_survives_mariadb() -> None:
    assert (
        edited("[client]\n", "client", "password", "a#b'c", dialect="mysql")
        == '[client]\npassword = "a#b\'c"\n'
    )


def test_sysctl_files() -> None:
    text = "# kernel\nnet/ipv4/ip_forward=0\n-net.ipv6.x = 1\n"
    assert edited(text, "", "net.ipv4.ip_forward", "1", dialect="sysctl") == text.replace("=0", "=1")
    assert OptionFile(text, "sysctl").get("", "net.ipv6.x") == "1"
    assert edited(text, "", "net.core.x", "1", dialect="sysctl") == text + "net.core.x = 1\n"
    with pytest.raises(ValueError, match="no sections"):
        edited(text, "a", "b", "c", dialect="sysctl")
