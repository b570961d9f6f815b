"""Users of the servers of the table.

All users have the same password. Log-ins are measured with users whose hash has the parameters of
imapvm (argon2id, 64 MiB). The others have a light hash on servers that support it.
"""

from typing import Final, Literal

from imapvm_bench.server.users import User

UserGroup = Literal["readers", "posts", "known"]

PASSWORD: Final = "secret"

READERS: Final = 200
"""Users with mailboxes, at most one connection each; the first has the large mailboxes."""
POSTS: Final = 20
"""Users that receive mail by LMTP."""
FRESH_CONNECTIONS: Final = 8
"""Connections of the log-in rows: enough to keep all cores busy with hashing."""
FRESH_PER_SECOND: Final = 12
"""Fresh users for each connection and second: more than any server can log in."""

KNOWN: Final = 8


def users_in(name: UserGroup) -> tuple[User, ...]:
    """Return the users of a group."""
    count = {"readers": READERS, "posts": POSTS, "known": KNOWN}[name]
    stem = {"readers": "reader", "posts": "post", "known": "known"}[name]
    return tuple(User(f"{stem}{n}", PASSWORD) for n in range(1, count + 1))


def fresh_pattern(turn: int) -> str:
    """Return the template of the name of a user that logs in once, see `fresh_names`."""
    return f"fresh{turn}-{{connection}}-{{counter}}"


def fresh_names(rounds: int, seconds: float) -> list[str]:
    """Return the users that log in once: for each round, connection, and log-in in that time."""
    each = max(2, round(seconds * FRESH_PER_SECOND))
    return [
        f"fresh{turn}-{connection}-{count}"
        for turn in range(rounds)
        for connection in range(FRESH_CONNECTIONS)
        for count in range(1, each + 1)
    ]


def light(name: str) -> bool:
    """Return whether a user may have a light hash."""
    return not name.startswith(("known", "fresh"))
