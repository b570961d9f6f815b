"""Address resolution: aliases, login names, details, domains, postmaster."""

import unicodedata
from collections.abc import Iterator

from imapvm.filepool.accounts import Account
from imapvm.filepool.pool import Filepool
from imapvm.intake.delivery_settings import DeliverySettings
from imapvm.intake.paths import PathError, split_address
from imapvm.model.names import INBOX, canonical_name, name_error
from imapvm.model.values import frozen

POSTMASTER = "postmaster"


@frozen
class Destination:
    """Account and mailbox that an address resolves to."""

    account: Account
    mailbox: str


class AddressBook:
    """Resolver of addresses. Each lookup reads the filepool; nothing is cached."""

    def __init__(self, pool: Filepool, settings: DeliverySettings) -> None:
        self._pool = pool
        self._delimiter = settings.detail_delimiter
        self._detail_mailboxes = settings.detail_mailboxes
        self._postmaster = settings.postmaster
        self._domains = frozenset(normalise_domain(domain) for domain in settings.domains)

    def find(self, address: str) -> Destination | None:
        """Return the destination of `address`; None if no user has it.

        Search order, first with the whole local part, then without its detail: an alias equal to
        the full address; a login name equal to the full address; and, if the domain is local or
        missing, an alias equal to the local part, then a login name equal to it. Mail for
        postmaster goes to the configured user if no user or alias has that name (RFC 5321 section
        4.5.1).
        """
        try:
            local, domain = normalise_address(address)
        except PathError:
            return None
        for name, detail in self._names_and_details(local):
            account = self._find_account(name, domain)
            if account is not None:
                return Destination(account, self._mailbox(account, detail))
        if self._postmaster and self._is_local(domain):
            for name, _ in self._names_and_details(local):
                if name == POSTMASTER and (account := self._pool.accounts.find(self._postmaster)):
                    return Destination(account, INBOX)
        return None

    def _names_and_details(self, local: str) -> Iterator[tuple[str, str]]:
        """Yield name and detail: first the whole local part, since a login name may be `a+b`."""
        yield local, ""
        if self._delimiter:
            name, delimiter, detail = local.partition(self._delimiter)
            if delimiter and name:
                yield name, detail

    def _find_account(self, local: str, domain: str | None) -> Account | None:
        accounts = self._pool.accounts
        if domain is not None:
            whole = f"{local}@{domain}"
            if account := accounts.by_address(whole) or accounts.find(whole):
                return account
        if self._is_local(domain):
            return accounts.by_address(local) or accounts.find(local)
        return None

    def _is_local(self, domain: str | None) -> bool:
        return domain is None or not self._domains or domain in self._domains

    def _mailbox(self, account: Account, detail: str) -> str:
        """Return the mailbox that the detail names, if it exists, else INBOX.

        Mailboxes are not created here: the sender chooses the detail.
        """
        if not detail or not self._detail_mailboxes:
            return INBOX
        name = canonical_name(detail)
        if name_error(name):
            return INBOX
        with self._pool.account(account).reading() as reader:
            mailbox = reader.mailbox_in_any_case(name)
        return INBOX if mailbox is None else mailbox.name


def normalise_address(address: str) -> tuple[str, str | None]:
    """Return local part and domain in the form in which they are compared.

    Local parts are compared case-insensitively, like login names. RFC 5321 section 2.4 leaves that
    to the receiving host.

    Raises:
        PathError: not an address.
    """
    local, domain = split_address(address)
    return _normalise(local), None if domain is None else normalise_domain(domain)


def normalise_domain(domain: str) -> str:
    """Return a domain in the form in which it is compared: lower case, `xn--` decoded."""
    domain = _normalise(domain)
    if "xn--" in domain:
        try:
            return domain.encode("ascii").decode("idna")
        except UnicodeError:
            return domain
    return domain


def _normalise(text: str) -> str:
    return text.lower() if text.isascii() else unicodedata.normalize("NFC", text).lower()
