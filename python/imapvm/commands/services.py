"""Services that all connections of a process share."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import Final

import trio

from imapvm.auth.authenticator import Authenticator
from imapvm.commands.idlers import Idlers
from imapvm.commands.message_limit import NO_LIMIT, MessageLimit
from imapvm.commands.turns import Turns
from imapvm.commands.watchers import Watchers
from imapvm.filepool.accounts import Account
from imapvm.filepool.pool import Filepool
from imapvm.model.logs import LogInterval
from imapvm.session.client_rules import NO_RULES, CapabilityRules

SEARCH_THREADS: Final = min(len(os.sched_getaffinity(0)), 8)
"""One for each processor: they compute, and read from the disk only if the mail is not cached."""
REFUSAL_LOG_SECONDS: Final = 1.0
VERSION: Final = metadata.version("imapvm")


@dataclass(slots=True)
class Services:
    """Shared objects of one process; each `Context` refers to them."""

    pool: Filepool
    authenticator: Authenticator[Account]
    clock: Callable[[], float]
    """Seconds since 1970 UTC."""
    turns: Turns = field(default_factory=Turns)
    """The reactor's, which starts them."""
    idlers: Idlers = field(default_factory=Idlers)
    watchers: Watchers = field(default_factory=Watchers)
    refused_logins: LogInterval = field(default_factory=lambda: LogInterval(REFUSAL_LOG_SECONDS))
    """Of the log event for a login that is refused without a check of the password."""
    long_lists: trio.Lock = field(default_factory=trio.Lock)
    """Held while LIST selects among many names: it needs some megabytes meanwhile, and little
    while it waits for its client."""
    long_sorts: trio.Lock = field(default_factory=trio.Lock)
    """Held while SORT or THREAD arranges many messages: it needs some 100 bytes for each, and a
    processor; another one is left to the event loop and the writer."""
    search_threads: trio.CapacityLimiter = field(
        default_factory=lambda: trio.CapacityLimiter(SEARCH_THREADS)
    )
    """For all searches that read messages."""
    capability_rules: CapabilityRules = NO_RULES
    message_limit: MessageLimit = NO_LIMIT
    """MESSAGELIMIT or SAVELIMIT."""
    administrators: frozenset[str] = frozenset()
    """Login names, normalised."""
    annotations: Mapping[bytes, bytes] = field(default_factory=dict)
    """Shared annotations of the server, without `/shared` in their names (RFC 5464 s. 3.2.1.1)."""
    version: str = VERSION
    """For the ID response."""
