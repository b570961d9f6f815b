"""Argon2id hashes for imapvm and Dovecot, with the same parameters."""

from typing import Final

import argon2

from bench.peers.peer import Light, Users
from imapvm.auth.passwords import PARAMETERS, hash_password

LIGHT: Final = argon2.Parameters(
    type=argon2.Type.ID,
    version=19,
    salt_len=16,
    hash_len=32,
    time_cost=1,
    memory_cost=64,
    parallelism=1,
)
"""Light parameters for users whose log-in is not measured: 64 KiB, one pass."""

ABOUT: Final = (
    "argon2id, 64 MiB, 3 passes, 4 lanes, where log-ins are measured; a light hash elsewhere"
)


def hashes(users: Users, light: Light) -> dict[str, str]:
    """Return hashes by name. Each password is hashed once, which costs 0.1 s."""
    made: dict[tuple[str, bool], str] = {}
    found = {}
    for name, password in users.items():
        key = (password, light(name))
        if key not in made:
            parameters = LIGHT if key[1] else PARAMETERS
            made[key] = hash_password(password.encode(), parameters=parameters)
        found[name] = made[key]
    return found
