"""Events that NOTIFY chooses, by mailbox (RFC 5465 section 6), and what is due of them."""

import pytest
from tests.session.naive import NaiveMailbox

from imapvm._core import ResponseWriter
from imapvm.model.limits import NOTIFY_DUE_MAX
from imapvm.session.interest import (
    ALL_EVENTS,
    MESSAGE_EVENTS,
    NO_EVENTS,
    NO_SELECTED_EVENTS,
    EventGroup,
    Interest,
    NotifyEvent,
    SelectedEvents,
)
from imapvm.session.update_form import UpdateForm
from imapvm.session.watch import Watch

NEW, EXPUNGE = NotifyEvent.MESSAGE_NEW, NotifyEvent.MESSAGE_EXPUNGE
FLAG, NAME = NotifyEvent.FLAG_CHANGE, NotifyEvent.MAILBOX_NAME


def group(kind, *names, events=NEW):
    return EventGroup(kind, "\0".join(["", *names, ""]), events)


@pytest.mark.parametrize(
    ("kind", "names", "matching", "others"),
    [
        ("PERSONAL", (), ["INBOX", "a/b"], ["Other Users/bob/x"]),
        ("INBOXES", (), ["INBOX", "a/b"], ["Other Users/bob/x"]),
        ("MAILBOXES", ("a", "b/c"), ["a", "b/c"], ["b", "a/x", "b/c/d", "c"]),
        ("MAILBOXES", ("*", "%"), ["*"], ["a"]),
        ("SUBTREE", ("a", "b/c"), ["a", "a/x", "a/x/y", "b/c/d"], ["b", "ab", "b/cd"]),
        ("SUBTREE", ("Other Users",), ["Other Users/bob/x"], ["a"]),
        ("SUBSCRIBED", (), ["sub", "Other Users/bob/sub"], ["a"]),
        ("MAILBOXES", (), [], ["", "a"]),
    ],
)
def test_mailboxes_of_a_filter(kind, names, matching, others):
    one = group(kind, *names)
    for name, expected in [(n, True) for n in matching] + [(n, False) for n in others]:
        own = not name.startswith("Other Users/")
        found = one.matches(name, own=own, is_subscribed=lambda name: name.endswith("sub"))
        assert found is expected, name


@pytest.mark.parametrize(
    ("one", "shared"),
    [
        (group("PERSONAL"), False),
        (group("INBOXES"), False),
        (group("SUBSCRIBED"), True),
        (group("MAILBOXES", "a", "Shared/x"), True),
        (group("SUBTREE", "Other Users"), True),
        (group("SUBTREE", "Others"), False),
        (group("SUBTREE", "Shared", events=NO_EVENTS), False),
    ],
)
def test_filter_that_may_have_mailboxes_of_others(one, shared):
    assert Interest(groups=(one,)).may_match_shared is shared


def test_events_of_several_groups_are_joined():
    interest = Interest(groups=(group("MAILBOXES", "a"), group("PERSONAL", events=NAME)))
    events = {name: interest.events(name, is_subscribed=lambda _: False) for name in "ab"}
    assert events == {"a": NEW | NAME, "b": NAME}
    assert interest.all_events == NEW | NAME


# --- other mailboxes ------------------------------------------------------------------------------


def watch(events=MESSAGE_EVENTS):
    return Watch(events, None)


def test_changes_of_a_mailbox_are_joined():
    one = watch()
    assert not one.has_due
    one.note(1, 5, 10, NEW)
    one.note(1, 5, 12, FLAG)
    one.note(2, 5, 3, NEW)
    assert one.has_due
    due = one.due[1, 5]
    assert (due.events, due.first, due.last) == (NEW | FLAG, 10, 12)
    assert len(one.due) == 2


def test_events_that_no_mailbox_asks_for_are_not_due():
    one = watch(NEW | EXPUNGE)
    one.note(1, 5, 10, FLAG)
    assert not one.due


def test_own_change_is_not_due_unless_others_changed_the_mailbox_too():
    one = watch()
    one.note(1, 5, 10, NEW)
    one.note_own_change(1, 5, 9)
    one.note_own_change(2, 5, 10)
    assert one.due
    one.note_own_change(1, 5, 10)
    assert not one.due
    for modseqs in ((10, 11), (9, 10)):
        for modseq in modseqs:
            one.note(1, 5, modseq, NEW)
        one.note_own_change(1, 5, 10)
        assert one.due
        one.due.clear()


def test_overflow_drops_what_is_due():
    one = watch()
    for mailbox in range(NOTIFY_DUE_MAX):
        one.note(1, mailbox, 1, NEW)
    one.note(1, 0, 2, NEW)
    assert not one.overflowed
    one.note(1, NOTIFY_DUE_MAX, 1, NEW)
    assert one.overflowed
    assert not one.due
    assert one.has_due


# --- the selected mailbox -------------------------------------------------------------------------


def written(view, mailbox, events, *, hold_expunges=False):
    out = ResponseWriter()
    view.events = events
    form = UpdateForm(uid=True, modseq=True)
    view.write_updates(out, mailbox, form, hold_expunges=hold_expunges, uid=False)
    return out.take().decode().splitlines()


def test_what_is_not_named_stays_due():
    mailbox = NaiveMailbox()
    mailbox.append(3)
    view = mailbox.view()
    before = view.highest_modseq
    mailbox.append(1)
    mailbox.expunge(1)
    mailbox.store(2, flags=1)
    assert written(view, mailbox, NO_SELECTED_EVENTS) == []
    assert view.highest_modseq == before
    assert len(view.numbers) == 3
    assert view.has_due
    without_flags = SelectedEvents(flags=False)
    assert written(view, mailbox, without_flags) == ["* 1 EXPUNGE", "* 3 EXISTS"]
    assert view.highest_modseq == before  # the change of flags is not sent yet
    lines = written(view, mailbox, ALL_EVENTS)
    assert lines == [f"* 1 FETCH (UID 2 MODSEQ ({mailbox.modseq}) FLAGS (\\Seen))"]
    assert view.highest_modseq == mailbox.modseq
    assert not view.has_due
