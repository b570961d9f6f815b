"""The tables `groups` and `members` of the environment of accounts: groups of users.

A group of users is a grantee of rights. It has nothing to do with storage groups.
"""

from typing import Final

from imapvm.filepool.tables.schema import MEMBER_KEY
from imapvm.model.names import normal_name

BY_GROUP: Final = b"g"
BY_ACCOUNT: Final = b"a"
"""First byte of the keys of `members`: by group, or by account."""
NAME: Final = b"n"
ID: Final = b"i"
"""First byte of the keys of `groups`: normalised name → id, and id → name as given."""


def group_name_key(name: str) -> bytes:
    """Return the key of a group's id."""
    return NAME + normal_name(name).encode()


def member_keys(group: int, account: int) -> tuple[bytes, bytes]:
    """Return the two keys of a membership."""
    return (
        MEMBER_KEY.pack(BY_GROUP, group, account),
        MEMBER_KEY.pack(BY_ACCOUNT, account, group),
    )
