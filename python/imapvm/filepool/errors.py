"""What can go wrong with the filepool; each message is one sentence for an operator or a client."""


class FilepoolError(Exception):
    """Base of all that follows. Nothing was changed when an operation raises one."""


class FilepoolMissingError(FilepoolError):
    """At opening: there is nothing at this path."""


class NotAFilepoolError(FilepoolError):
    """At opening: there is something else at this path, or a part of the filepool is gone."""


class WrongFormatError(FilepoolError):
    """At opening: a filepool in a format that this version does not read."""


class StoreUnavailableError(FilepoolError):
    """The disk is full or failed: nothing was changed, and the same may work later."""


class CorruptDataError(FilepoolError):
    """Something stored cannot be read back; `check` says more."""


class NoSuchAccountError(FilepoolError):
    """The account does not exist, or not any more."""


class AccountExistsError(FilepoolError):
    """The account's name or address is taken."""


class NoSuchMailboxError(FilepoolError):
    """The mailbox does not exist, or not any more."""


class MailboxExistsError(FilepoolError):
    """The mailbox's name is taken."""


class MailboxHasChildrenError(FilepoolError):
    """What was asked cannot be done to a name that has names below it."""


class InvalidNameError(FilepoolError):
    """No mailbox or account can have this name, or this one cannot be done without."""


class SpecialUseError(FilepoolError):
    """A mailbox cannot have this special use (RFC 6154 section 3: USEATTR)."""


class BodyGoneError(FilepoolError):
    """A message's octets were removed: it was expunged, and the grace period is over."""


class MessageGoneError(FilepoolError):
    """Some of the messages that were to be copied together have been expunged."""


class LimitError(FilepoolError):
    """A bound of `model.limits` would be passed; the message names it."""
