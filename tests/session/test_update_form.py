"""Form of updates, by the extensions that a session uses."""

import pytest
from tests.session.naive import NaiveMailbox

from imapvm._core import ResponseWriter
from imapvm.session.session import Session
from imapvm.session.update_form import FORMS, UpdateForm

REV1 = UpdateForm(recent=True)


@pytest.mark.parametrize(
    ("enabled", "condstore", "form"),
    [
        (set(), False, REV1),
        (set(), True, REV1._replace(uid=True, modseq=True)),
        ({"QRESYNC"}, True, REV1._replace(uid=True, modseq=True, vanished=True)),
        ({"IMAP4REV2"}, False, UpdateForm(uid=True)),
        ({"IMAP4REV2"}, True, UpdateForm(uid=True, modseq=True)),
        ({"UIDONLY"}, False, REV1._replace(vanished=True, uid_fetch=True)),
        (
            {"IMAP4REV2", "QRESYNC", "UIDONLY"},
            True,
            UpdateForm(uid=True, modseq=True, vanished=True, uid_fetch=True),
        ),
    ],
)
def test_form_of_a_session(enabled, condstore, form):
    session = Session(peer="::1", tls=True, plain_allowed=True)
    session.enabled |= enabled
    session.condstore = condstore
    assert session.update_form == form


@pytest.mark.parametrize(
    ("form", "uid", "expected"),
    [
        (UpdateForm(), False, "* 2 FETCH (FLAGS ())"),
        (UpdateForm(), True, "* 2 FETCH (UID 2 FLAGS ())"),
        (UpdateForm(uid=True), False, "* 2 FETCH (UID 2 FLAGS ())"),
        (UpdateForm(uid=True, modseq=True), False, "* 2 FETCH (UID 2 MODSEQ (3) FLAGS ())"),
        (UpdateForm(uid_fetch=True), False, "* 2 UIDFETCH (FLAGS ())"),
        (UpdateForm(uid_fetch=True, modseq=True), True, "* 2 UIDFETCH (MODSEQ (3) FLAGS ())"),
    ],
)
def test_items_of_changed_flags(form, uid, expected):
    mailbox = NaiveMailbox()
    mailbox.append(2)
    view, out = mailbox.view(), ResponseWriter()
    mailbox.store(2, flags=0)
    view.write_updates(out, mailbox, form, hold_expunges=False, uid=uid)
    assert out.take().decode().splitlines() == [expected]


def test_every_combination_has_a_form():
    assert len(FORMS) == 32
    for (uid, rev2, condstore, qresync, uidonly), form in FORMS.items():
        assert form.uid == (uid or condstore)
        assert form.recent != rev2
        assert form.vanished == (qresync or uidonly)
        assert form.modseq == condstore
