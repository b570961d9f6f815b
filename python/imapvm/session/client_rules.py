"""Rules that disable capabilities for mail programs with known errors, by their ID command.

RFC 2971 section 3 forbids to change the behaviour of a server by ID, so that programs are mended
instead. A rule is for the time until the users of a program have the mended version.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from imapvm.session.syntax import Disabled, checked_names

ID_CHARS: Final = 100
"""Characters of a name and of a version that are compared; a client may send thousands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientRule:
    """Capabilities that some versions of a mail program are not offered.

    Patterns are compared with the fields of ID in any case of letters: `*` is any text, `?` one
    character, `[ab]` one of these.
    """

    name: str
    version: str = "*"
    """A client that sends no version matches `*` only."""
    disabled: tuple[str, ...]
    reason: str = ""
    source: str = ""
    """Address of a public report of the error."""

    def matches(self, name: str, version: str) -> bool:
        """Return True for a client with this name and version."""
        pairs = ((name, self.name), (version, self.version))
        return all(fnmatchcase(value[:ID_CHARS].lower(), glob.lower()) for value, glob in pairs)


SHIPPED: Final = (
    ClientRule(
        name="Microsoft Office 365",
        disabled=("UIDONLY",),
        reason="enables UIDONLY, then sends FETCH with message numbers, which gets UIDREQUIRED;"
        " no message arrives",
        source="https://github.com/modern-email/defects/issues/49",
    ),
    ClientRule(
        name="Thunderbird*",
        version="12.0[ab]1",
        disabled=("UTF8=ACCEPT",),
        reason="for Android: shows UTF-8 mailbox names as question marks after ENABLE UTF8=ACCEPT,"
        " and cannot select them",
        source="https://github.com/thunderbird/thunderbird-android/issues/9480",
    ),
    ClientRule(
        name="K-9 Mail",
        version="12.0[ab]1",
        disabled=("UTF8=ACCEPT",),
        reason="the same program as Thunderbird for Android",
        source="https://github.com/thunderbird/thunderbird-android/issues/9212",
    ),
)
"""Rules for errors that are known in public; `capabilities.shipped_rules` switches them off."""


class CapabilityRules:
    """Capabilities that are disabled for all clients, and for some."""

    def __init__(
        self,
        disabled: Iterable[str] = (),
        rules: Iterable[ClientRule] = (),
        *,
        shipped: bool = False,
    ) -> None:
        """Check the names; with `shipped`, add the rules of `SHIPPED`.

        Raises:
            CapabilityNameError: a capability is unknown, not offered, or cannot be disabled.
        """
        self.for_all = Disabled.of(checked_names(disabled))
        """For each connection before ID."""
        self._rules = [(rule, checked_names(rule.disabled)) for rule in rules]
        if shipped:
            self._rules += [(rule, frozenset(rule.disabled)) for rule in SHIPPED]

    def for_client(self, name: str, version: str) -> Disabled:
        """Return what a client with these fields in its ID is not offered."""
        matching = [names for rule, names in self._rules if rule.matches(name, version)]
        return Disabled.of(self.for_all.names.union(*matching)) if matching else self.for_all


NO_RULES: Final = CapabilityRules()
