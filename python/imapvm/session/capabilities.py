"""Capabilities: one row each, with the RFC, and a condition, or the reason for not offering it.

The names are those of the IANA registry. docs/protocol.md has the same rows; a test compares them.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Final

from imapvm.model.limits import MESSAGE_MAX
from imapvm.model.rights import NEW_RIGHTS
from imapvm.session.states import State


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts about a connection that decide which capabilities it is offered."""

    state: State
    can_start_tls: bool
    """True with a certificate, before TLS."""
    password_allowed: bool
    """True if a password may be sent over this connection now."""
    compressed: bool = False
    """True after COMPRESS."""
    administrator: bool = False
    """True for a user who may change what belongs to others."""
    message_limit: int = 0
    """MESSAGELIMIT; 0 for none."""
    save_limit: int = 0
    """SAVELIMIT; 0 for none."""


When = Callable[[Facts], bool]


def always(_: Facts) -> bool:
    """Return True."""
    return True


def before_login(facts: Facts) -> bool:
    """Return True before login."""
    return facts.state is State.NOT_AUTHENTICATED


def after_login(facts: Facts) -> bool:
    """Return True after login: earlier, the capability cannot be used."""
    return facts.state is not State.NOT_AUTHENTICATED


def has_message_limit(facts: Facts) -> bool:
    """Return True after login if the operator limits the messages of a command."""
    return after_login(facts) and bool(facts.message_limit)


def has_save_limit(facts: Facts) -> bool:
    """Return True after login if the operator limits COPY and APPEND only."""
    return after_login(facts) and bool(facts.save_limit)


def is_administrator(facts: Facts) -> bool:
    """Return True after login of an administrator."""
    return after_login(facts) and facts.administrator


def can_compress(facts: Facts) -> bool:
    """Return True after login, until COMPRESS (RFC 4978)."""
    return after_login(facts) and not facts.compressed


def tls_can_start(facts: Facts) -> bool:
    """Return True before login, without TLS, with a certificate."""
    return before_login(facts) and facts.can_start_tls


def password_allowed(facts: Facts) -> bool:
    """Return True before login, with TLS or if configuration allows passwords without it."""
    return before_login(facts) and facts.password_allowed


def login_disabled(facts: Facts) -> bool:
    """Return True before login if LOGIN is refused (RFC 9051 section 6.2.3)."""
    return before_login(facts) and not facts.password_allowed


@dataclass(frozen=True, slots=True)
class CapabilityRow:
    """One capability."""

    name: str
    rfc: str
    when: When | None = None
    """Condition for offering it; None if it is not offered."""
    why_not: str = ""
    """Reason for not offering it."""
    value: str | Callable[[Facts], str] = ""
    """Value that follows the name."""
    unless: str = ""
    """Capability that includes this one, which is offered only if that one is disabled."""


_LATER: Final = "not built yet"
Row = CapabilityRow

# fmt: off
TABLE: Final = (
    Row("IMAP4rev1", "3501", always),
    Row("IMAP4rev2", "9051", always),
    Row("STARTTLS", "9051", tls_can_start),
    Row("LOGINDISABLED", "9051", login_disabled),
    Row("AUTH=PLAIN", "4616", password_allowed),
    Row("AUTH=LOGIN", "none", password_allowed),
    Row("SASL-IR", "4959", before_login),
    Row("ID", "2971", always),
    Row("ENABLE", "5161", always),
    Row("LITERAL+", "7888", always),
    Row("LITERAL-", "7888", always, unless="LITERAL+"),
    Row("IDLE", "2177", always),
    Row("NAMESPACE", "2342", after_login),
    Row("UNSELECT", "3691", after_login),
    Row("CHILDREN", "3348", after_login),
    Row("LIST-EXTENDED", "5258", after_login),
    Row("LIST-STATUS", "5819", after_login),
    Row("STATUS=SIZE", "8438", after_login),
    Row("SPECIAL-USE", "6154", after_login),
    Row("CREATE-SPECIAL-USE", "6154", after_login),
    Row("UIDPLUS", "4315", after_login),
    Row("MOVE", "6851", after_login),
    Row("MULTIAPPEND", "3502", after_login),
    Row("BINARY", "3516", after_login),
    Row("ESEARCH", "4731", after_login),
    Row("SEARCHRES", "5182", after_login),
    Row("WITHIN", "5032", after_login),
    Row("APPENDLIMIT", "7889", after_login, value=f"={MESSAGE_MAX}"),
    Row("UTF8=ACCEPT", "9755", after_login),
    Row("PREVIEW", "8970", after_login),
    Row("SAVEDATE", "8514", after_login),
    Row("OBJECTID", "8474", after_login),
    Row("COMPRESS=DEFLATE", "4978", can_compress),
    Row("CONDSTORE", "7162", after_login),
    Row("QRESYNC", "7162", after_login),
    Row("SORT", "5256", after_login),
    Row("SORT=DISPLAY", "5957", after_login),
    Row("ESORT", "5267", after_login),
    Row("THREAD=ORDEREDSUBJECT", "5256", after_login),
    Row("THREAD=REFERENCES", "5256", after_login),
    Row("THREAD=REFS", "draft-ietf-morg-inthread", after_login),
    Row("QUOTA", "9208", after_login),
    Row("QUOTA=RES-STORAGE", "9208", after_login),
    Row("QUOTA=RES-MESSAGE", "9208", after_login),
    Row("QUOTA=RES-MAILBOX", "9208", after_login),
    Row("QUOTA=RES-ANNOTATION-STORAGE", "9208", after_login),
    Row("QUOTASET", "9208", is_administrator),
    Row("AUTH=SCRAM-SHA-256", "7677", why_not=_LATER),
    Row("AUTH=SCRAM-SHA-256-PLUS", "7677", why_not=_LATER),
    Row("AUTH=SCRAM-SHA-1", "5802", why_not=_LATER),
    Row("AUTH=SCRAM-SHA-1-PLUS", "5802", why_not=_LATER),
    Row("AUTH=OAUTHBEARER", "7628", why_not=_LATER),
    Row("AUTH=XOAUTH2", "none", why_not=_LATER),
    Row("AUTH=EXTERNAL", "4422", why_not=_LATER),
    Row("ACL", "4314", after_login),
    Row("RIGHTS=", "4314", after_login, value=NEW_RIGHTS),
    Row("LIST-MYRIGHTS", "8440", after_login),
    Row("METADATA", "5464", after_login),
    Row("METADATA-SERVER", "5464", after_login),
    Row("LIST-METADATA", "9590", after_login),
    Row("NOTIFY", "5465", after_login),
    Row("UIDONLY", "9586", after_login),
    Row("UIDBATCHES", "10022", after_login),
    Row("PARTIAL", "9394", after_login),
    Row("MULTISEARCH", "7377", after_login),
    Row("INPROGRESS", "9585", after_login),
    Row("REPLACE", "8508", after_login),
    Row("CATENATE", "4469", after_login),
    Row("URL-PARTIAL", "5550", after_login),
    Row("SEARCH=FUZZY", "6203", after_login),
    Row("MESSAGELIMIT", "9738", has_message_limit, value=lambda facts: f"={facts.message_limit}"),
    Row("SAVELIMIT", "9738", has_save_limit, value=lambda facts: f"={facts.save_limit}"),
    Row("UNAUTHENTICATE", "8437", after_login),
    Row("I18NLEVEL=1", "5255", after_login, unless="I18NLEVEL=2"),
    Row("I18NLEVEL=2", "5255", after_login),
    Row("OBJECTID+", "draft-ietf-mailmaint-imap-objectid-bis",
        why_not="a draft: beside OBJECTID, all copies of a message would need the same flags"),
    Row("CONTEXT=SEARCH", "5267", after_login),
    Row("CONTEXT=SORT", "5267", after_login),
    Row("FILTERS", "5466", after_login),
    Row("LANGUAGE", "5255", always),
    Row("IMAPSIEVE=", "6785", why_not="needs Sieve"),
    Row("URLAUTH", "4467", why_not="lets others read mail by a link; no current client uses it"),
    Row("CONVERT", "5259", why_not="converting attachments opens the server to attacks"),
    Row("ANNOTATE-EXPERIMENT-1", "5257", why_not="experimental, and not used"),
    Row("LOGIN-REFERRALS", "2221", why_not="each server has all of a user's mail"),
    Row("MAILBOX-REFERRALS", "2193", why_not="each server has all of a user's mailboxes"),
    Row("JMAPACCESS", "9698", why_not="the server has no JMAP"),
    Row("URLAUTH=BINARY", "5524", why_not="needs URLAUTH"),
    Row("URLFETCH=BINARY", "5524", why_not="needs URLAUTH"),
    Row("UTF8=ONLY", "9755", why_not="most clients cannot use a server that demands UTF-8"),
    Row("UTF8=ALL", "5738", why_not="obsolete: UTF8=ACCEPT has replaced it"),
    Row("UTF8=APPEND", "5738", why_not="obsolete: UTF8=ACCEPT has replaced it"),
    Row("UTF8=USER", "5738", why_not="obsolete: UTF8=ACCEPT has replaced it"),
)
# fmt: on


def capabilities(facts: Facts, disabled: Collection[str] = ()) -> str:
    """Return the capabilities of a connection, separated by spaces (RFC 9051 section 7.2.2).

    Args:
        facts: of the connection.
        disabled: names that are left out.
    """
    return " ".join(
        row.name + (row.value if isinstance(row.value, str) else row.value(facts))
        for row in TABLE
        if row.when is not None
        and row.when(facts)
        and row.name not in disabled
        and (not row.unless or row.unless in disabled)
    )


ENABLEABLE: Final = {
    "IMAP4REV2": "IMAP4rev2",
    "UTF8=ACCEPT": "UTF8=ACCEPT",
    "CONDSTORE": "CONDSTORE",
    "QRESYNC": "QRESYNC",
    "METADATA": "METADATA",
    "METADATA-SERVER": "METADATA-SERVER",
    "UIDONLY": "UIDONLY",
}
"""Names in upper case, and in the spelling of ENABLED."""


def newly_enabled(
    names: Iterable[str], enabled: Collection[str], disabled: Collection[str] = ()
) -> list[str]:
    """Return the names that ENABLE turns on, in upper case, each once.

    Unknown names, and capabilities that need no ENABLE, are skipped (RFC 5161 section 3.1).

    Args:
        names: from the command, in upper case.
        enabled: turned on before.
        disabled: names of capabilities that are not offered; they are as unknown.
    """
    return [
        name
        for name in dict.fromkeys(names)
        if name in ENABLEABLE and name not in enabled and ENABLEABLE[name] not in disabled
    ]
