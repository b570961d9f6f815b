"""Errors of the filepool, with messages for operators and clients: `cannot X: reason`, or a state.

Raised by an operation, each of them means that nothing was changed.
"""


class FilepoolError(Exception):
    """Base class of the errors of the filepool."""


class FilepoolMissingError(FilepoolError):
    """The directory to open does not exist."""


class NotAFilepoolError(FilepoolError):
    """The directory to open is something else, or a part of the filepool is missing."""


class WrongFormatError(FilepoolError):
    """The filepool to open has a format that this version does not read."""


class StoreUnavailableError(FilepoolError):
    """The disk is full or failed; the same may succeed later."""


class CorruptDataError(FilepoolError):
    """Stored data cannot be read; `imapvm filepool check` lists what is corrupt."""


class TruncatedFileError(CorruptDataError):
    """A data file is shorter than it has to be. The process has to end: pages of it are missing."""


class NoSuchAccountError(FilepoolError):
    """The account does not exist."""


class AccountExistsError(FilepoolError):
    """Another account has the name or address."""


class NoSuchMailboxError(FilepoolError):
    """The mailbox does not exist."""


class PermissionDeniedError(FilepoolError):
    """The user can see the mailbox and has not the right to do this (RFC 5530: NOPERM)."""


class UnknownGrantError(FilepoolError):
    """An identifier is of no user and no group, or its rights cannot be changed."""


class MailboxExistsError(FilepoolError):
    """Another mailbox has the name."""


class MailboxHasChildrenError(FilepoolError):
    """The mailbox has children, so the change is refused."""


class InvalidNameError(FilepoolError):
    """A mailbox or account cannot have this name, or INBOX cannot be changed like this."""


class SpecialUseError(FilepoolError):
    """A mailbox cannot have this special use (RFC 6154 section 3: USEATTR)."""


class AnnotationTooLargeError(FilepoolError):
    """The value of an annotation is too long (RFC 5464 section 4.3: METADATA MAXSIZE)."""


class TooManyAnnotationsError(FilepoolError):
    """A mailbox or an account would have too many annotations (METADATA TOOMANY)."""


class BodyGoneError(FilepoolError):
    """The text of a message was removed: it was expunged, and the grace period is over."""


class StagedExpiredError(FilepoolError):
    """A message or copies took longer than a day to be complete, and were removed."""


class MessageGoneError(FilepoolError):
    """Some of the messages to copy together have been expunged."""


class OverQuotaError(FilepoolError):
    """A quota would be exceeded (RFC 9208 section 4.3.1).

    Args:
        resource: the resource.
        limit: its limit, in units of the resource.
        never: True if what is added exceeds the limit by itself.
    """

    def __init__(self, resource: str, limit: int, *, never: bool = False) -> None:
        super().__init__(f"quota exceeded: {resource} is limited to {limit}")
        self.resource = resource
        self.never = never


class LimitError(FilepoolError):
    """A limit of `model.limits` would be exceeded; the message contains it."""
