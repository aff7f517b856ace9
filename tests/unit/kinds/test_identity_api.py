"""A Keystone that fails in the middle of work is a finding, never a traceback."""

from typing import Any, cast

import pytest
from keystoneauth1.exceptions import ConnectFailure, Forbidden

from understudy.findings import FindingsError, message_for
from understudy.kinds.identity import CONNECT_RETRIES, Grant, IdentityApi


class Session:
    """Fails every request as told."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.retries: list[int] = []

    def request(self, *_: object, **more: Any) -> None:
        self.retries.append(more["connect_retries"])
        raise self.error


@pytest.mark.parametrize("error", [ConnectFailure("connection reset"), Forbidden("no such role")])
async def test_a_request_that_fails(error: Exception) -> None:
    session = Session(error)
    with pytest.raises(FindingsError) as caught:
        await IdentityApi(cast("Any", session), "http://127.0.0.1:5000/v3", Grant("", "", {})).get("/users")
    (finding,) = caught.value.findings
    assert finding.code == "keystone-request-failed"
    assert caught.value.exit_status == 1
    assert "/users" in message_for(finding)
    assert session.retries == [CONNECT_RETRIES]
