"""Whose an address is: aliases, login names, details, domains, postmaster."""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from imapvm.filepool.accounts import Account
from imapvm.filepool.pool import Filepool
from imapvm.intake.delivery_settings import DeliverySettings
from imapvm.intake.paths import PathError, split_address
from imapvm.model.names import INBOX, canonical_name, name_error

POSTMASTER = "postmaster"


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a message for an address goes."""

    account: Account
    mailbox: str


class AddressBook:
    """Finds the account of an address. Reads are short; nothing is kept between them."""

    def __init__(self, pool: Filepool, settings: DeliverySettings) -> None:
        self._pool = pool
        self._delimiter = settings.detail_delimiter
        self._detail_mailboxes = settings.detail_mailboxes
        self._postmaster = settings.postmaster
        self._domains = frozenset(normalise_domain(domain) for domain in settings.domains)

    def find(self, address: str) -> Destination | None:
        """Return where mail for `address` goes; None where it is nobody's.

        In this order, first with the whole local part, then without its detail: an alias of the
        full address; the full address as a login name; and, where the domain is ours or left out,
        an alias of the local part, and the local part as a login name. Mail for postmaster goes
        to the one configured when nobody bears that name (RFC 5321 section 4.5.1).
        """
        try:
            local, domain = normalise_address(address)
        except PathError:
            return None
        for name, detail in self._splits(local):
            account = self._named(name, domain)
            if account is not None:
                return Destination(account, self._mailbox(account, detail))
        if self._postmaster and self._is_ours(domain):
            for name, _ in self._splits(local):
                if name == POSTMASTER and (account := self._pool.accounts.find(self._postmaster)):
                    return Destination(account, INBOX)
        return None

    def _splits(self, local: str) -> Iterator[tuple[str, str]]:
        """The local part without and with its detail taken off; a user may be named `a+b`."""
        yield local, ""
        if self._delimiter:
            name, delimiter, detail = local.partition(self._delimiter)
            if delimiter and name:
                yield name, detail

    def _named(self, local: str, domain: str | None) -> Account | None:
        accounts = self._pool.accounts
        if domain is not None:
            whole = f"{local}@{domain}"
            if account := accounts.by_address(whole) or accounts.find(whole):
                return account
        if self._is_ours(domain):
            return accounts.by_address(local) or accounts.find(local)
        return None

    def _is_ours(self, domain: str | None) -> bool:
        return domain is None or not self._domains or domain in self._domains

    def _mailbox(self, account: Account, detail: str) -> str:
        """The mailbox that a detail names, where the account has it; else INBOX.

        None is created: a stranger would name it.
        """
        if not detail or not self._detail_mailboxes:
            return INBOX
        name = canonical_name(detail)
        if name_error(name):
            return INBOX
        with self._pool.account(account).reading() as reader:
            names = {mailbox.name.casefold(): mailbox.name for mailbox in reader.mailboxes()}
        return names.get(name.casefold(), INBOX)


def normalise_address(address: str) -> tuple[str, str | None]:
    """The one place for case: local part and domain as they are compared.

    Local parts are compared without regard to case, as login names are. RFC 5321 section 2.4
    leaves that to the receiving host, and nobody wants Ada and ada to be two people.

    Raises:
        PathError: it is no address.
    """
    local, domain = split_address(address)
    local = _normalise(local)
    return local, None if domain is None else normalise_domain(domain)


def normalise_domain(domain: str) -> str:
    """A domain as it is compared: lower case, and in Unicode where it was written `xn--`."""
    domain = _normalise(domain)
    if "xn--" in domain:
        try:
            return domain.encode("ascii").decode("idna")
        except UnicodeError:
            return domain
    return domain


def _normalise(text: str) -> str:
    return text.lower() if text.isascii() else unicodedata.normalize("NFC", text).lower()
