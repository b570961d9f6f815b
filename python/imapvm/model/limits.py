"""Limits: what a peer can make grow, and how far.

Bytes unless the name has another unit. Each limit has a test at the limit and one past it, marked
`@pytest.mark.at_limit("NAME")` and `@pytest.mark.past_limit("NAME")`; one test may have both marks.

Limits that are enforced in Rust are in its files:

    rust/src/wire/limits.rs       lines, literals, lists and nesting of commands
    rust/src/message/limits.rs    fields, parts and depth of messages

Other constants with MAX in their names are thresholds, sizes of formats and of caches, and limits
for the operator. A peer cannot make anything grow past them:

    python/imapvm/commands   HELD_BYTES_MAX, INLINE_BYTES_MAX
    python/imapvm/filepool   ATTEMPTS_MAX, BATCH_MAX, FINDINGS_MAX, GROUPS_MAX, INLINE_MAX,
                             MAILBOX_CACHE_MAX, OWN_COMMITS_MAX, READERS_MAX, UID_MAPS_MAX
    python/imapvm/intake     PATH_MAX, _SIZE_DIGITS_MAX
    python/imapvm/model      LIMIT_MAX, UID_MAX
    python/imapvm/ops        CONFIG_MAX, USERS_MAX, WORKERS_MAX
    python/imapvm/server     PROCESSES_MAX, TLS_RECORD_MAX, _READ_MAX
    rust/src/filepool        BODY_MAX, FRAMES_MAX
    rust/src/index           SEGMENT_BYTES_MAX, ZONE_MAX
    rust/src/py              BODY_MAX
    rust/src/pages           DEPTH_MAX, PAGE_SIZE_MAX
    rust/src/wire            ROOM_BYTES_MAX

`tests/architecture/test_limits.py` compares all of this with the sources.
"""

from typing import Final

MESSAGE_MAX: Final = 64 * 1024 * 1024
"""One message, by APPEND, LMTP or the spool; clients read it as APPENDLIMIT."""

LINE_BEFORE_LOGIN_MAX: Final = 8 * 1024
LITERAL_BEFORE_LOGIN_MAX: Final = 1024
"""Names, passwords and SASL responses are short; unauthenticated clients get no more memory."""

MAILBOX_NAME_MAX: Final = 255
"""Whole name in UTF-8: fits an LMDB key with its prefix, and a file name in a backup."""
MAILBOX_DEPTH_MAX: Final = 32
"""Levels of hierarchy in one name."""
GROUP_NAME_MAX: Final = 64
"""Name of a group of users."""
GROUPS_PER_USER_MAX: Final = 64
"""Groups of users that a user is in: each is one look-up for the rights on a mailbox."""
KEYWORD_MAX: Final = 100
"""One keyword."""
KEYWORDS_PER_MESSAGE_MAX: Final = 64
KEYWORDS_PER_MAILBOX_MAX: Final = 500
"""Different keywords ever used in one mailbox: FLAGS and PERMANENTFLAGS list them all, in at most
50 KiB each."""
MULTIAPPEND_MAX: Final = 1000
"""Messages of one APPEND, which are stored in one transaction."""
CATENATE_PARTS_MAX: Final = 1000
"""Parts of one message of CATENATE; each is a seek and a step."""
URL_MAX: Final = 4096
"""One URL of CATENATE: a name with all bytes escaped, and a list of header fields. BADURL repeats
it."""

# --- connections (imapvm.server) ---------------------------------------------------------------

RECEIVE_MAX: Final = 64 * 1024
"""One read from a socket: smaller costs wakeups, larger gains nothing."""
OUTPUT_WAITING_MAX: Final = 256 * 1024
"""Output queued for a client that does not read; more output ends the connection."""
INFLATED_MAX: Final = 64 * 1024
"""Bytes that one step of COMPRESS inflates, however few were received (RFC 4978): as one read."""
DEFLATERS_MAX: Final = 256
"""Compressors of COMPRESS in one process, 64 MiB together. The least recently used is dropped
first; its session continues with a new one, without the history that makes responses small."""
CONNECTIONS_MAX: Final = 100_000
"""In one process; the operator's limit on open files is usually reached first."""
CONNECTIONS_PER_PEER_MAX: Final = 256
"""From one address (one /64 network of IPv6): enough for an office with one gateway."""
TLS_HANDSHAKES_MAX: Final = 256
"""Unfinished handshakes of one process after the ClientHello; other clients wait, without TLS
memory."""
TLS_HANDSHAKES_PER_PEER_MAX: Final = 16
"""As above, of one address: an office with one gateway reconnects at 16 for each round trip."""
TLS_HANDSHAKE_STEPS_MAX: Final = 4
"""Steps of handshakes in one turn of the event loop, near 1 ms each."""
LINGER_BYTES_MAX: Final = 1024 * 1024
"""Input read and dropped after BYE, until the client closes the connection."""

# --- login (imapvm.auth) -----------------------------------------------------------------------

LOGIN_NAME_MAX: Final = 255
"""Authentication or authorization identity."""
PASSWORD_MAX: Final = 1024
"""Hashing time grows with the length only far beyond this."""
THROTTLE_ENTRIES_MAX: Final = 10_000
"""Counters of failures by peer and name: about 2 MiB; the oldest are dropped first."""
LOGINS_PER_PEER_AND_NAME_MAX: Final = 16
"""Concurrent logins of one peer with one name, which are checked one after another: a mail program
opens five to ten connections. One more is refused with UNAVAILABLE."""
DELAYED_LOGINS_MAX: Final = 4
"""As above, while failures delay them: with delays of 15 s the last one waits a minute."""
FAILURES_BEFORE_CACHE_IS_DELAYED_MAX: Final = 100
"""Failures of a peer with one name, after which a remembered password is delayed as well; NIST SP
800-63B section 5.2.2 allows so many guesses."""
PASSWORD_CHECKS_PER_PEER_MAX: Final = 4
"""Concurrent password hashes of one peer: others find a core on a machine with more of them."""
PASSWORD_CHECKS_WAITING_MAX: Final = 256
"""Logins that wait for a core, 10 to 20 s of work for two cores; one more is refused with
UNAVAILABLE: the newest of the peer with the most."""
VERIFICATION_CACHE_MAX: Final = 20_000
"""Verified passwords that need not be hashed again, two entries for each account that logs in from
one address: about 3 MiB. The oldest are dropped first."""

# --- sessions (imapvm.session, imapvm.commands) ------------------------------------------------

ERRORS_BEFORE_LOGIN_MAX: Final = 5
"""Malformed commands and failed logins before login; the next ends the connection."""
HEADER_COLUMNS_BYTES_MAX: Final = 64 * 1024 * 1024
"""Header fields that a process keeps in memory for SEARCH, of all its users: the subjects of a
million messages. The least recently used are dropped first."""
KEY_COLUMNS_BYTES_MAX: Final = 64 * 1024 * 1024
"""Sort keys and references that a process keeps in memory for SORT and THREAD, of all its users:
some 40 bytes of each message and criterion. The least recently used are dropped first."""
SORT_KEYS_BYTES_MAX: Final = 256 * 1024 * 1024
"""Sort keys that one SORT or THREAD reads, several million messages; more are refused with LIMIT.
One such command for many messages runs in a process at a time."""
COMPARATOR_NAME_MAX: Final = 254
"""Characters of an argument of COMPARATOR (RFC 4790 section 3.2)."""
FUZZY_TEXTS_MAX: Final = 32
"""Texts after FUZZY in one search: each takes up to 16 KiB, and more time than other texts."""
ESEARCH_NAMES_MAX: Final = 1000
"""Names of mailboxes in one ESEARCH: each is looked up."""
NOTIFY_GROUPS_MAX: Final = 64
"""Event groups of one NOTIFY: each is compared with each mailbox that has changed."""
NOTIFY_NAMES_MAX: Final = 1000
"""Names of mailboxes in one NOTIFY: each is looked up."""
NOTIFY_NAMES_BYTES_MAX: Final = 32 * 1024
"""Bytes of these names together, which the session keeps."""
NOTIFY_DUE_MAX: Final = 1000
"""Changed mailboxes whose STATUS is due to a client that does not read: about 250 KiB. One more is
answered with NOTIFICATIONOVERFLOW (RFC 5465 section 5.8)."""
NOTIFY_SHARED_MAX: Final = 1000
"""Mailboxes of other users that one client watches: about 200 KiB. More of them are answered with
NOTIFICATIONOVERFLOW."""
UIDBATCH_MESSAGES_MIN: Final = 500
"""Messages of one batch of UIDBATCHES (RFC 10022 section 3.1 allows no more): with small batches a
client would rebuild message numbers."""
UIDBATCHES_MESSAGES_MAX: Final = 100_000
"""Messages of all batches of one UIDBATCHES (section 3.1 allows no fewer), and so 200 ranges."""
UIDBATCHES_REPEATS_MAX: Final = 3
"""Repetitions of UIDBATCHES for the same batches while fewer than half a batch has changed."""
LIST_PATTERNS_MAX: Final = 100
"""Patterns of one LIST. Each is compared with each name of the account."""
LIST_WILDCARDS_MAX: Final = 100
"""Wildcards in all patterns of one LIST or LSUB, the reference included: comparing a name costs up
to its length for each of them. A name has at most MAILBOX_DEPTH_MAX levels, so one for each level
of three patterns fits."""
ACL_ENTRIES_MAX: Final = 1000
"""Entries of one mailbox's ACL: GETACL writes them in one response, and DELETE removes them in the
transaction of the mailbox, in some 5 ms."""
SHARED_NAMES_MAX: Final = 10_000
"""Mailboxes of others that one LIST shows, as many as an account can have of its own. Those beyond
it can be used by name."""
COPIED_BETWEEN_ACCOUNTS_MAX: Final = 1000
"""Messages of one COPY or MOVE to a mailbox of another account: they are read and stored again, in
one transaction, as those of APPEND."""
FILTERS_PER_SEARCH_MAX: Final = 32
"""Different filters in the keys of a SEARCH, and in those filters together (RFC 5466). Each is read
and parsed, in half a millisecond."""
CONTEXTS_MAX: Final = 16
"""Searches with UPDATE in one session (RFC 5267): each changed message is compared with the keys of
each. One more is not kept up to date, and gets NOUPDATE."""
CONTEXT_MEMBERS_MAX: Final = 250_000
"""Messages that the SORTs with UPDATE of one session have found, and ranges of UIDs in its other
searches with UPDATE, together: 4 or 8 bytes each, so up to 2 MB."""
FETCH_FIELD_LISTS_MAX: Final = 32
"""HEADER.FIELDS and HEADER.FIELDS.NOT of one FETCH. Each is compared with up to 10,000 fields of a
message, about half a millisecond, and one response is written without a pause."""
FLAG_UPDATES_MAX: Final = 1024
"""Messages whose changed flags are written between two sends: less than a millisecond."""
EXPUNGE_UPDATES_MAX: Final = 2048
"""Expunged messages that are written between two sends: some 40 KiB, in a millisecond."""
UPDATE_BYTES_MAX: Final = 64 * 1024
"""Updates of flags after which output is sent; the last 128 messages may exceed it by
KEYWORD_SET_MAX bytes each."""
CHANGE_ROWS_MAX: Final = 500
"""Rows of a mailbox's change log that are read in one transaction: up to 95,000 runs of UIDs, in
4 ms. The rows of one change are read together; a change has at most 44."""

REMEMBERED_EXPUNGES_MAX: Final = 100_000
"""Changes of a mailbox for which expunged UIDs are remembered, unless configured otherwise: about
3 MB, with one expunge in each. Clients that return later get all UIDs without a message."""

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
"""Concurrent connections of one listener. About 300 KiB each while a message is received, and up to
4 MiB while its header is: 1.5 MiB of values, and the buffers of one field."""
LMTP_WAITING_MAX: Final = 128
"""Connections that are accepted and wait for the end of others; one more is refused with 421."""
SPOOL_READ_MAX: Final = 64 * 1024
"""Size of one read from a spool file."""
SPOOL_COMMANDS_MAX: Final = 4 * 1024 * 1024
"""Commands of one spool file, without the messages: 10,000 recipients of 400 bytes."""
SPOOL_RECIPIENTS_MAX: Final = 10_000
"""Recipients of one message: a writer of spool files gets no reply that asks it to split them."""
SPOOL_MESSAGES_MAX: Final = 1000
"""Messages in one spool file: they are retried together."""
SPOOL_IN_FLIGHT_MAX: Final = 64
"""Files that are delivered concurrently, so that one commit stores them all."""
SPOOL_IN_FLIGHT_BYTES_MAX: Final = 16 * 1024 * 1024
"""Sizes of these files together; of a large one, only SPOOL_COMMANDS_MAX are counted, since its
messages are staged on disk. Envelopes in memory have several times this size."""
SPOOL_WAITING_MAX: Final = 10_000
"""Files in new/ whose names are in memory, the oldest first; later scans find the others."""
SPOOL_CLAIMED_MAX: Final = 100_000
"""Files in cur/ that are in delivery or wait for a retry: about 40 MiB."""
SPOOL_DEATHS_MAX: Final = 3
"""Deaths of the process while it delivers a spool file, before the file is moved to `failed/`."""
SPOOL_TRIES_MAX: Final = 5
"""Failed attempts before a spool file is moved to `failed/`."""
BOUNCE_HEADER_MAX: Final = 64 * 1024
"""Bytes of a message's header that a notification contains."""
SMTPEXIT_HEADER_MAX: Final = 256 * 1024
"""Bytes of a header that `imapvm-smtpexit -t` searches for recipients."""

# --- the filepool (imapvm.filepool) -------------------------------------------------------------

ACCOUNT_NAME_MAX: Final = 255
"""Login name in UTF-8: fits an LMDB key."""
ADDRESS_MAX: Final = 320
"""Alias in UTF-8: a local part of 64 and a domain of 255 (RFC 5321 section 4.5.3.1)."""
CREDENTIAL_MAX: Final = 2000
"""Stored credential; an argon2id hash has about 100 bytes."""
SPELLINGS_MAX: Final = 4
"""Beginnings of mailbox names that differ in case only and are followed in a search in any case."""
NAMES_PER_ACCOUNT_MAX: Final = 10_000
"""Mailboxes and subscriptions of one account together."""
NAME_CHANGES_KEPT: Final = 1000
"""Changes of names and subscriptions of an account that are logged for NOTIFY. A client that has
missed older ones is sent NOTIFICATIONOVERFLOW."""
UID_VALIDITY_DRIFT_MAX: Final = 1 << 20
"""Mailboxes that can be created in a storage group beside one a second. Values of UIDVALIDITY
follow the clock at this distance, twelve days, and so stay below it."""
KEYWORD_SET_MAX: Final = 1800
"""All keywords of one message, separated by spaces: a value that fits a leaf page."""
KEYWORD_SETS_PER_MAILBOX_MAX: Final = 10_000
"""Different combinations of keywords ever used in one mailbox."""
KEYWORD_SETS_BYTES_MAX: Final = 1024 * 1024
"""All combinations of one mailbox, which are read together: about 15 ms."""
KEYWORD_CACHES_BYTES_MAX: Final = 32 * 1024 * 1024
"""Memory for the keywords of all mailboxes in one process."""
ANNOTATION_MAX: Final = 32 * 1024
"""Value of an annotation (RFC 5464): less than a literal of a command, so that the client is sent
METADATA MAXSIZE. RFC 5464 section 4.1 asks for 1,024."""
ANNOTATION_NAME_MAX: Final = 255
"""Entry name of an annotation without /private or /shared: fits an LMDB key with its prefix."""
ANNOTATIONS_PER_MAILBOX_MAX: Final = 1000
"""Shared annotations of a mailbox, and private ones of each user; RFC 5464 section 4.1 asks for 10.
RENAME of INBOX copies them in one transaction."""
ANNOTATING_USERS_MAX: Final = 1000
"""Users with annotations of one mailbox, which are uncounted in the transaction of its DELETE."""
ANNOTATIONS_PER_ACCOUNT_MAX: Final = 10_000
"""Annotations of all mailboxes of an account, and its private ones of the server."""
ANNOTATION_BYTES_PER_ACCOUNT_MAX: Final = 8 * 1024 * 1024
"""Their names and values together; an operator may set a lower quota."""
ANNOTATIONS_PER_COMMAND_MAX: Final = 256
"""Entries of one GETMETADATA, SETMETADATA or LIST RETURN (METADATA). SETMETADATA stores them in
one transaction, in about 5 ms; with DEPTH each may name a thousand others."""
THREAD_REFERENCES_MAX: Final = 20
"""Message-IDs in References of one message that are stored for its thread."""
DELIVERY_ID_MAX: Final = 64
"""Delivery id: half of an LMDB key."""
