"""LOGIN and AUTHENTICATE when the authenticator cannot take one more login."""

import pytest
from tests.commands.fakes import connection, send

from imapvm.auth.authenticator import TooManyLoginsError


class Full:
    async def login(self, name: str, password: bytes, *, peer: str, while_connected) -> None:
        raise TooManyLoginsError


@pytest.mark.parametrize(
    "command", [b"a LOGIN ada engine\r\n", b"a AUTHENTICATE PLAIN AGFkYQBlbmdpbmU=\r\n"]
)
async def test_too_many_logins_are_refused_as_unavailable(command):
    ctx = connection()
    ctx.services.authenticator = Full()
    assert (await send(ctx, command))[-1].startswith("a NO [UNAVAILABLE] too many logins")
