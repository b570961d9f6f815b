"""Form of updates: which responses a client gets for changes, by the extensions that it uses."""

from itertools import product
from typing import Final, NamedTuple

from imapvm._core import FetchItems

_BOTH: Final = (False, True)
_ITEMS: Final = {
    (uid, modseq): FetchItems.flags(uid=uid, modseq=modseq) for uid, modseq in product(_BOTH, _BOTH)
}
_UID_FETCH_ITEMS: Final = {
    modseq: FetchItems.flags(uid=False, modseq=modseq).as_uid_fetch() for modseq in _BOTH
}


class UpdateForm(NamedTuple):
    """Form of the updates of the selected mailbox."""

    uid: bool = False
    """FETCH has the UID also outside of UID commands: IMAP4rev2 (RFC 9051 section 7.5.2), after a
    command that enabled CONDSTORE (RFC 7162 section 3.2.4), and after NOTIFY (RFC 5465 section
    5.1)."""
    recent: bool = False
    r"""The client has \Recent and RECENT: IMAP4rev1 only."""
    modseq: bool = False
    """FETCH has MODSEQ: after a command that enabled CONDSTORE (RFC 7162 section 3.1)."""
    vanished: bool = False
    """VANISHED in place of EXPUNGE: QRESYNC (RFC 7162 section 3.2.10), UIDONLY."""
    uid_fetch: bool = False
    """UIDFETCH in place of FETCH: UIDONLY (RFC 9586 section 3.3)."""

    def apply(self, items: FetchItems) -> FetchItems:
        """Return the items of FETCH responses that NOTIFY asks for (RFC 5465 section 5.2)."""
        if self.modseq:
            items = items.with_modseq()
        if self.uid_fetch:
            return items.as_uid_fetch()
        return items.with_uid() if self.uid else items

    def items(self, *, uid: bool) -> FetchItems:
        """Return the items of FETCH responses, in UID commands if `uid` is True."""
        if self.uid_fetch:
            return _UID_FETCH_ITEMS[self.modseq]
        return _ITEMS[self.uid or uid, self.modseq]


FORMS: Final = {
    (uid, rev2, condstore, qresync, uidonly): UpdateForm(
        uid=uid or condstore,
        recent=not rev2,
        modseq=condstore,
        vanished=qresync or uidonly,
        uid_fetch=uidonly,
    )
    for uid, rev2, condstore, qresync, uidonly in product(_BOTH, repeat=5)
}
"""By IMAP4rev2 or NOTIFY, IMAP4rev2, CONDSTORE, QRESYNC and UIDONLY: True for those that the client
uses."""
