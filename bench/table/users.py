"""Who signs in at the servers of the table.

Every user has the same password, but not every hash of it costs the same: log-ins are measured
with users whose hash is imapvm's own (argon2id, 64 MiB); for the others, who only have to get in
before something else is measured, servers that can be told so keep a light one.
"""

from typing import Final, Literal

from imapvm_bench.server.users import User

UserGroup = Literal["readers", "posts", "known"]

PASSWORD: Final = "secret"

READERS: Final = 200
"""Users with mailboxes; the first has the large ones. A connection each, at most."""
POSTS: Final = 20
"""Users who get mail by LMTP."""
FRESH_CONNECTIONS: Final = 8
"""Of the rows about log-ins: enough to keep every core hashing."""
FRESH_PER_SECOND: Final = 12
"""Users who wait for a fresh log-in, a connection and second: more than any server takes."""

KNOWN: Final = 8


def users_in(who: UserGroup) -> tuple[User, ...]:
    """Return the users of a users_in."""
    count = {"readers": READERS, "posts": POSTS, "known": KNOWN}[who]
    stem = {"readers": "reader", "posts": "post", "known": "known"}[who]
    return tuple(User(f"{stem}{n}", PASSWORD) for n in range(1, count + 1))


def fresh_pattern(turn: int) -> str:
    """The name of a user who signs in once, as a template of the load: see `fresh_names`."""
    return f"fresh{turn}-{{connection}}-{{counter}}"


def fresh_names(rounds: int, seconds: float) -> list[str]:
    """Return the users who sign in once: for each round, connection, and log-in in that time."""
    each = max(2, round(seconds * FRESH_PER_SECOND))
    return [
        f"fresh{turn}-{connection}-{count}"
        for turn in range(rounds)
        for connection in range(FRESH_CONNECTIONS)
        for count in range(1, each + 1)
    ]


def light(name: str) -> bool:
    """Whether a user's hash may be a light one."""
    return not name.startswith(("known", "fresh"))
