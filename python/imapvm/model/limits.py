"""Every bound in one place: what a peer can make grow, and how far.

Octets unless the name says otherwise. Each has a test at the limit and one past it, which bear
`@pytest.mark.at_limit("NAME")` and `@pytest.mark.past_limit("NAME")` (one test may bear both);
`tests/architecture/test_limits.py` counts them.
"""

from typing import Final

MESSAGE_MAX: Final = 64 * 1024 * 1024
"""One message, by APPEND, LMTP or the spool; APPENDLIMIT tells clients."""

LINE_BEFORE_LOGIN_MAX: Final = 8 * 1024
LITERAL_BEFORE_LOGIN_MAX: Final = 1024
"""Names, passwords and SASL responses are short; a stranger gets no more room than that."""

MAILBOX_NAME_MAX: Final = 255
"""UTF-8 octets of a whole name: fits an LMDB key beside its prefix, and a file name in a backup."""
MAILBOX_DEPTH_MAX: Final = 32
"""Levels of hierarchy in one name."""
KEYWORD_MAX: Final = 100
"""Octets of one keyword."""
KEYWORDS_PER_MESSAGE_MAX: Final = 64
MULTIAPPEND_MAX: Final = 1000
"""Messages of one APPEND: they are kept in one transaction."""

# --- connections (imapvm.server) ---------------------------------------------------------------

RECEIVE_MAX: Final = 64 * 1024
"""One read from a socket: less costs wakeups, more buys nothing."""
OUTPUT_WAITING_MAX: Final = 256 * 1024
"""Octets that may wait for a client that does not read; what is announced beyond that ends it."""
CONNECTIONS_MAX: Final = 100_000
"""In one process; the operator's limit on open files usually comes first."""
CONNECTIONS_PER_PEER_MAX: Final = 256
"""From one address (one /64 network of IPv6): room for an office behind one gateway."""
TLS_HANDSHAKES_MAX: Final = 256
"""Unfinished at a time in one process; others wait for their turn, without TLS memory."""
TLS_HANDSHAKE_STEPS_MAX: Final = 4
"""Steps of handshakes in one turn of the event loop, near 1 ms each."""

# --- signing in (imapvm.auth) ------------------------------------------------------------------

LOGIN_NAME_MAX: Final = 255
"""Octets of an authentication or authorization identity."""
PASSWORD_MAX: Final = 1024
"""Octets; hashing time grows with it only far beyond."""
THROTTLE_ENTRIES_MAX: Final = 10_000
"""Peers and names whose failures are remembered: about 2 MiB; the oldest are forgotten first."""
PASSWORD_CHECKS_WAITING_MAX: Final = 256
"""Sign-ins that wait for a free core; above that the answer is "try again"."""
VERIFICATION_CACHE_MAX: Final = 10_000
"""Accounts whose password was right a short while ago and need not be hashed again."""

# --- sessions (imapvm.session, imapvm.commands) ------------------------------------------------

ERRORS_BEFORE_LOGIN_MAX: Final = 5
"""Commands before login that were wrong, and logins that failed; the next ends the connection."""
HEADER_COLUMNS_BYTES_MAX: Final = 64 * 1024 * 1024
"""Header fields that a process keeps in memory for SEARCH, of all its users: the subjects of a
million messages. What was not asked for longest is dropped first."""
FLAG_UPDATES_MAX: Final = 4096
"""Messages whose changed flags are told between two sends: some 250 KiB of answers."""
EXPUNGE_UPDATES_MAX: Final = 8192
"""Messages whose end is told between two sends: some 160 KiB of answers."""

# --- intake (imapvm.intake) --------------------------------------------------------------------

INTAKE_LINE_MAX: Final = 4096
"""Length of one command of LMTP or of a spool file, with its line end. RFC 5321 section 4.5.3.1.4
asks for 512 bytes, and the parameters of SIZE, 8BITMIME, SMTPUTF8 and DSN add about 1,200."""
INCOMING_MAX: Final = MESSAGE_MAX - 4096
"""Size of one message by LMTP or the spool. The remainder is for the header fields that delivery
adds: addresses, names and a date, each bounded."""
LMTP_RECIPIENTS_MAX: Final = 1000
"""Recipients of one message; RFC 5321 section 4.5.3.1.8 asks for 100. Further ones get 452, and
the client sends them in another transaction."""
LMTP_ERRORS_MAX: Final = 20
"""Lines that are not a command, before the connection is closed: the client does not speak LMTP."""
LMTP_CONNECTIONS_MAX: Final = 128
"""Concurrent connections; others wait in the listener's backlog. About 300 KiB each while a message
is received."""
SPOOL_READ_MAX: Final = 64 * 1024
"""Size of one read from a spool file."""
SPOOL_RECIPIENTS_MAX: Final = 10_000
"""Recipients of one message: a writer of spool files gets no reply that asks it to split them."""
SPOOL_MESSAGES_MAX: Final = 1000
"""Messages in one spool file: they are retried together."""
SPOOL_IN_FLIGHT_MAX: Final = 64
"""Files that are delivered concurrently, so that one commit stores them all."""
SPOOL_TRIES_MAX: Final = 5
"""Failed attempts before a spool file is moved to `failed/`."""
BOUNCE_HEADER_MAX: Final = 64 * 1024
"""Bytes of a message's header that a notification contains."""
SMTPEXIT_HEADER_MAX: Final = 256 * 1024
"""Bytes of a header that `imapvm-smtpexit -t` searches for recipients."""

# --- the filepool (imapvm.filepool) -------------------------------------------------------------

ACCOUNT_NAME_MAX: Final = 255
"""UTF-8 octets of a login name: fits an LMDB key."""
ADDRESS_MAX: Final = 320
"""UTF-8 octets of an alias: a local part of 64 and a domain of 255 (RFC 5321 section 4.5.3.1)."""
CREDENTIAL_MAX: Final = 2000
"""Octets of a stored credential; an argon2id hash has about 100."""
NAMES_PER_ACCOUNT_MAX: Final = 10_000
"""Mailboxes and subscriptions of one account together."""
KEYWORD_SET_MAX: Final = 1800
"""Octets of all keywords of one message with spaces between: a value that fits a leaf page."""
KEYWORD_SETS_PER_MAILBOX_MAX: Final = 10_000
"""Different combinations of keywords that one mailbox has ever seen: about 1 MiB in memory."""
THREAD_REFERENCES_MAX: Final = 20
"""Message-IDs that one message refers to and that are recorded for its thread."""
DELIVERY_ID_MAX: Final = 64
"""Octets of a delivery id: fits an LMDB key twice over."""
