"""Address resolution."""

import pytest
from tests.intake.fakes import FakePool

from imapvm.filepool.reading import Reader
from imapvm.intake.addresses import AddressBook, normalise_address
from imapvm.intake.delivery_settings import DeliverySettings


def book(pool=None, **settings):
    return AddressBook(pool or FakePool(), DeliverySettings(hostname="h", **settings))


def owner(address, addresses=None, pool=None, **settings):
    pool = pool or FakePool(("ada", "bob", "ada+lists", "cyn@example.org", "root"))
    pool.accounts.addresses |= addresses or {}
    target = book(pool, **settings).find(address)
    return target and target.account.name


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("ada@example.org", "ada"),
        ("ADA@Example.ORG", "ada"),
        ("ada", "ada"),
        ("Ada", "ada"),
        ('"ada"@example.org', "ada"),
        ("bob+anything@example.org", "bob"),
        ("bob+@example.org", "bob"),
        ("bob+a+b@example.org", "bob"),
        ("ada+lists@example.org", "ada+lists"),  # a login name may have a detail
        ("ada+other@example.org", "ada"),
        ("cyn@example.org", "cyn@example.org"),
        ("cyn+x@example.org", "cyn@example.org"),
        ("cyn@elsewhere.example", None),
        ("cyn", None),
        ("+ada@example.org", None),
        ("dan@example.org", None),
        ("", None),
        ("not an address", None),
    ],
)
def test_without_configured_domains_a_local_part_is_a_login_name_in_every_domain(address, name):
    assert owner(address) == name


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("ada@example.org", "ada"),
        ("ada@EXAMPLE.ORG", "ada"),
        ("ada", "ada"),
        ("ada@elsewhere.example", None),
        ("ada@sub.example.org", None),
        ("cyn@example.org", "cyn@example.org"),
        ("info@elsewhere.example", "bob"),  # an alias of a full address works in every domain
        ("info@example.org", None),
        ("sales@example.org", "ada"),  # an alias of a local part works in local domains
        ("sales@elsewhere.example", None),
        ("ada@xn--exmple-cua.org", "ada"),
        ("ada@exämple.org", "ada"),
    ],
)
def test_with_configured_domains_a_local_part_is_a_login_name_only_in_them(address, name):
    aliases = {"info@elsewhere.example": "bob", "sales": "ada"}
    assert owner(address, aliases, domains=("Example.org", "exämple.org")) == name


def test_an_alias_takes_precedence_over_a_login_name():
    assert owner("ada@example.org", {"ada@example.org": "bob"}) == "bob"
    assert owner("ada@example.org", {"ada": "bob"}) == "bob"
    assert owner("ada@example.org", {"ada": "root", "ada@example.org": "bob"}) == "bob"


def test_an_alias_may_have_a_detail():
    assert owner("info+x@example.org", {"info@example.org": "bob"}) == "bob"
    assert owner("info+x@example.org", {"info+x@example.org": "ada", "info": "bob"}) == "ada"


def test_the_delimiter_is_configurable():
    assert owner("bob-x@example.org", detail_delimiter="-") == "bob"
    assert owner("bob+x@example.org", detail_delimiter="-") is None
    assert owner("bob+x@example.org", detail_delimiter="") is None


def test_postmaster_is_a_user_or_alias_of_that_name_or_the_configured_user():
    assert owner("postmaster") is None
    assert owner("Postmaster", postmaster="root") == "root"
    assert owner("postmaster@example.org", postmaster="root", domains=("example.org",)) == "root"
    assert owner("postmaster@other.example", postmaster="root", domains=("example.org",)) is None
    assert owner("postmaster+x@example.org", postmaster="root") == "root"
    assert owner("postmaster", {"postmaster": "bob"}, postmaster="root") == "bob"
    assert owner("postmaster", postmaster="unknown") is None


def test_addresses_are_compared_case_insensitively_in_unicode():
    assert normalise_address("JOSÉ@EXÄMPLE.org") == ("josé", "exämple.org")
    assert normalise_address("jose\u0301@x.example") == ("josé", "x.example")
    assert normalise_address("a@xn--" + "x" * 70) == (
        "a",
        "xn--" + "x" * 70,
    )  # bad IDNA


async def test_a_detail_selects_an_existing_mailbox_if_that_is_configured(pool, monkeypatch):
    # The sender chooses the detail; an account may have 10,000 mailboxes.
    monkeypatch.delattr(Reader, "mailboxes")
    store = pool.account(pool.accounts.find("ada"))
    await store.create_mailbox("Lists")

    def mailbox(address, **settings):
        return book(pool, **settings).find(address).mailbox

    assert mailbox("ada+lists@example.org") == "INBOX"
    assert mailbox("ada+lists@example.org", detail_mailboxes=True) == "Lists"
    assert mailbox("ada+trash@example.org", detail_mailboxes=True) == "Trash"
    assert mailbox("ada+other@example.org", detail_mailboxes=True) == "INBOX"
    assert mailbox("ada+inbox@example.org", detail_mailboxes=True) == "INBOX"
    assert mailbox("ada+@example.org", detail_mailboxes=True) == "INBOX"
    assert mailbox('"ada+a*b"@example.org', detail_mailboxes=True) == "INBOX"
    assert mailbox("ada@example.org", detail_mailboxes=True) == "INBOX"
    with store.reading() as reader:
        assert reader.mailbox("other") is None


async def test_addresses_resolve_in_a_real_filepool(pool):
    await pool.accounts.add_alias(pool.accounts.find("bob").id, "Info@Example.org")
    assert owner("info@example.org", pool=pool_with_addresses(pool)) == "bob"
    assert owner("ADA@example.org", pool=pool_with_addresses(pool)) == "ada"
    assert owner("x" * 500 + "@example.org", pool=pool_with_addresses(pool)) is None


def pool_with_addresses(pool):
    class Pool:
        class accounts:  # noqa: N801
            addresses: dict = {}  # noqa: RUF012
            find = pool.accounts.find
            by_address = pool.accounts.by_address

    return Pool
