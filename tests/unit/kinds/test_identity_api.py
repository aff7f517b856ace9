"""A Keystone that fails in the middle of work is a finding, never a traceback."""

from typing import Any, cast

import pytest
import requests
from keystoneauth1.exceptions import ConnectFailure, Forbidden
from keystoneauth1.noauth import NoAuth
from keystoneauth1.session import Session

from understudy.findings import FindingsError, message_for
from understudy.kinds.identity import CONNECT_RETRIES, Grant, IdentityApi


class FailingSession:
    """Fails every request as told."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.retries: list[int] = []

    def request(self, *_: object, **more: Any) -> None:
        self.retries.append(more["connect_retries"])
        raise self.error


@pytest.mark.parametrize("error", [ConnectFailure("connection reset"), Forbidden("no such role")])
async def test_a_request_that_fails(error: Exception) -> None:
    session = FailingSession(error)
    with pytest.raises(FindingsError) as caught:
        await IdentityApi(cast("Any", session), "http://127.0.0.1:5000/v3", Grant("", "", {})).get("/users")
    (finding,) = caught.value.findings
    assert finding.code == "keystone-request-failed"
    assert caught.value.exit_status == 1
    assert "/users" in message_for(finding)
    assert session.retries == [CONNECT_RETRIES]


async def test_a_request_that_a_starting_keystone_refuses_is_made_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    class Adapter(requests.adapters.BaseAdapter):
        def send(self, request: requests.PreparedRequest, *_: object, **__: object) -> requests.Response:
            asked.append(request.url)
            answer = requests.Response()
            answer.status_code = 403 if len(asked) == 1 else 200
            answer._content = b'{"users": []}'
            answer.request, answer.url = request, str(request.url)
            return answer

        def close(self) -> None:
            """Hold nothing."""

    plain = requests.Session()
    plain.mount("http://", Adapter())
    monkeypatch.setattr("time.sleep", lambda _: None)
    api = IdentityApi(Session(auth=NoAuth(), session=plain), "http://192.0.2.1:5000/v3", Grant("", "", {}))
    assert await api.get("/users") == {"users": []}
    assert len(asked) == 2
