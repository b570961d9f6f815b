"""Sample messages for the demonstration: a dozen and two, each of another shape.

They are written as octets, not by Python's `email`, because half of them are here to show what
that library would tidy up: folded encoded words, a forwarded message inside a message, a
multipart that never ends.
"""

import base64
import quopri
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate

from imapvm.ops.demo.attachments import pdf, png

HOUR = 3600
DAY = 24 * HOUR


@dataclass(frozen=True, slots=True)
class SampleMessage:
    """One message on its way to the spool."""

    name: str
    """What it shows; also the name of its spool file, so it stands for the message for ever."""
    sender: str
    """Envelope sender."""
    message: bytes
    """Header, empty line, body; CRLF."""


def sample_messages(to: str, now: float) -> list[SampleMessage]:
    """All sample messages, oldest first.

    Args:
        to: address in their To field.
        now: seconds since 1970; the dates lie in the ten days before it.
    """
    sender = "postmaster@imapvm.example"
    return [
        SampleMessage(f"{number:02}-{make.__name__[1:].replace('_', '-')}", sender, make(to, now))
        for number, make in enumerate(_ALL, 1)
    ]


def _head(to: str, sender: str, subject: str, date: float, name: str, *more: str) -> str:
    lines = [
        f"Date: {formatdate(date)}",
        f"From: {sender}",
        f"To: {to}",
        f"Subject: {subject}",
        f"Message-ID: {_message_id(name)}",
        *more,
    ]
    return "\n".join(lines) + "\n"


def _message_id(name: str) -> str:
    return f"<{name}@samples.imapvm.example>"


def _octets(text: str, charset: str = "utf-8") -> bytes:
    return text.replace("\n", "\r\n").encode(charset)


def _base64(data: bytes) -> str:
    return "\n".join(textwrap.wrap(base64.b64encode(data).decode(), 76)) + "\n"


_TEXT = ("MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8")


def _welcome(to: str, now: float) -> bytes:
    head = _head(
        to, "imapvm <postmaster@imapvm.example>", "Welcome to imapvm", now - 10 * DAY, "welcome"
    )
    return _octets(
        head
        + """
Hello,

you are looking at a mail server that keeps every message, index and counter
in transactions. What it has acknowledged, it has on disk.

This message did not take a short cut. It was put as a file into the spool
directory, the way any mail system would do it, and found its way from there.

Try a few things: move a message, search for the word "envelope", open the
picture, answer the invitation. Then pull the plug. It will all still be there.

    The demonstration
"""
    )


def _html_alternative(to: str, now: float) -> bytes:
    head = _head(
        to,
        "The imapvm letter <letter@imapvm.example>",
        "One message, told twice",
        now - 9 * DAY,
        "html",
        "MIME-Version: 1.0",
        'Content-Type: multipart/alternative; boundary="=_told-twice"',
    )
    return _octets(
        head
        + """
This is a message in MIME format; your program shows one of its two forms.
--=_told-twice
Content-Type: text/plain; charset=us-ascii

The same news in two dresses. A plain one, for those who read mail in a
terminal, and one in HTML with a table. The server describes both in one
BODYSTRUCTURE, and your program asks for the one it likes.

--=_told-twice
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: quoted-printable

<!DOCTYPE html>
<html><body style=3D"font-family: sans-serif">
<h2 style=3D"color: #1f6fb2">The same news in two dresses</h2>
<p>A <em>plain</em> one, for those who read mail in a terminal, and one in
<b>HTML</b> with a table.</p>
<table border=3D"1" cellpadding=3D"4"><tr><th>layer</th><th>made of</th></tr>
<tr><td>decides</td><td>Python, Trio</td></tr>
<tr><td>speaks</td><td>Rust</td></tr>
<tr><td>keeps</td><td>LMDB</td></tr></table>
<p>Caf=C3=A9 =E2=80=93 the dash and the accent are quoted-printable.</p>
</body></html>
--=_told-twice--
"""
    )


def _attachments(to: str, now: float) -> bytes:
    head = _head(
        to,
        "Ada <ada@imapvm.example>",
        "A picture and a page",
        now - 8 * DAY,
        "attachments",
        "MIME-Version: 1.0",
        "Content-Type: multipart/mixed; boundary=mixed-2f9",
    )
    page = pdf(
        ["imapvm", "", "This page was written by the server that keeps it.", "It has one font."]
    )
    return _octets(
        head
        + f"""
--mixed-2f9
Content-Type: text/plain; charset=us-ascii

Two attachments: an envelope as PNG, and a page as PDF. A program that wants
only one of them fetches only that one.

--mixed-2f9
Content-Type: image/png; name="envelope.png"
Content-Transfer-Encoding: base64
Content-Disposition: attachment; filename="envelope.png"

{_base64(png())}--mixed-2f9
Content-Type: application/pdf
Content-Transfer-Encoding: base64
Content-Disposition: attachment;
 filename*=utf-8''eine%20Seite%20%E2%80%93%20one%20page.pdf

{_base64(page)}--mixed-2f9--
"""
    )


def _forwarded(to: str, now: float) -> bytes:
    head = _head(
        to,
        "Grace <grace@imapvm.example>",
        "Fwd: A letter inside a letter",
        now - 7 * DAY,
        "forwarded",
        "MIME-Version: 1.0",
        'Content-Type: multipart/mixed; boundary="outer"',
    )
    inner = _head(
        "Grace <grace@imapvm.example>",
        "Linus <linus@imapvm.example>",
        "A letter inside a letter",
        now - 7 * DAY - 5 * HOUR,
        "inner",
        "MIME-Version: 1.0",
        'Content-Type: multipart/alternative; boundary="inner"',
    )
    return _octets(
        head
        + f"""
--outer
Content-Type: text/plain; charset=us-ascii

I pass this on as it came. Its header is part 2.HEADER, its plain text is
part 2.1, and IMAP can tell you so without sending you any of it.

--outer
Content-Type: message/rfc822
Content-Disposition: inline

{inner}
--inner
Content-Type: text/plain

Letters have always travelled in envelopes. Now they travel in each other.
--inner
Content-Type: text/html

<p>Letters have always travelled in envelopes. Now they travel in
<i>each other</i>.</p>
--inner--

--outer--
"""
    )


def _encoded_words(to: str, now: float) -> bytes:
    subject = (
        "=?iso-8859-1?Q?Gr=FC=DFe_aus_K=F6ln?= =?UTF-8?B?"
        + base64.b64encode(" ✉ und viele Umlaute".encode()).decode()
        + "?=\n =?iso-8859-1?Q?_dazu?="
    )
    head = _head(
        to,
        "=?ISO-8859-1?Q?J=FCrgen_M=FCller?= <juergen@imapvm.example>",
        subject,
        now - 6 * DAY,
        "encoded-words",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=iso-8859-1",
        "Content-Transfer-Encoding: quoted-printable",
    )
    body = """Schöne Grüße!

Betreff und Absender sind "encoded words" nach RFC 2047, in zwei Zeichensätzen,
gefaltet über zwei Zeilen. Der Text ist ISO-8859-1 und quoted-printable. Eine
Suche nach "Grüße" findet ihn trotzdem, in Betreff und Text.
"""
    quoted = quopri.encodestring(body.encode("iso-8859-1")).decode("ascii")
    return _octets(head + "\n" + quoted)


def _utf8_body(to: str, now: float) -> bytes:
    head = _head(
        to,
        "Ποστ <post@imapvm.example>",
        "Good morning in eight scripts ☀",
        now - 5 * DAY,
        "utf8",
        *_TEXT,
        "Content-Transfer-Encoding: 8bit",
    )
    return _octets(
        head
        + """
Good morning · Καλημέρα · Доброе утро · おはようございます · 早上好
좋은 아침 · बढ़िया सुबह · صباح الخير · בוקר טוב

The header of this message is UTF-8 as it stands (RFC 6532), and so is its text.
"""
    )


def _thread_question(to: str, now: float) -> bytes:
    head = _head(
        to,
        "Barbara <barbara@imapvm.example>",
        "Where does the mail sleep?",
        now - 4 * DAY,
        "thread-1",
        *_TEXT,
    )
    return _octets(
        head
        + """
I looked for a directory with one file a message, and there is none.
Where does the server keep my mail?

Barbara
"""
    )


def _thread_answer(to: str, now: float) -> bytes:
    head = _head(
        to,
        "Edsger <edsger@imapvm.example>",
        "Re: Where does the mail sleep?",
        now - 4 * DAY + 2 * HOUR,
        "thread-2",
        f"In-Reply-To: {_message_id('thread-1')}",
        f"References: {_message_id('thread-1')}",
        *_TEXT,
    )
    return _octets(
        head
        + """
> Where does the server keep my mail?

In the filepool: var/demo/filepool. Message, index, flags and counters change
in one transaction, so none of them can disagree with another. You can ask it:

    imapvm filepool check --filepool var/demo/filepool

Edsger
"""
    )


def _thread_thanks(to: str, now: float) -> bytes:
    head = _head(
        to,
        "Barbara <barbara@imapvm.example>",
        "Re: Where does the mail sleep?",
        now - 4 * DAY + 3 * HOUR,
        "thread-3",
        f"In-Reply-To: {_message_id('thread-2')}",
        f"References: {_message_id('thread-1')}\n {_message_id('thread-2')}",
        *_TEXT,
    )
    return _octets(
        head
        + """
> You can ask it.

I did, while it was running. It has nothing to complain about. Thank you!

Barbara
"""
    )


def _mailing_list(to: str, now: float) -> bytes:
    head = _head(
        "imapvm-talk@lists.imapvm.example",
        "Donald <donald@imapvm.example>",
        "[imapvm-talk] Numbers that never go back",
        now - 3 * DAY,
        "list",
        "Sender: imapvm-talk-bounces@lists.imapvm.example",
        f"Cc: {to}",
        "List-Id: Talk about imapvm <imapvm-talk.lists.imapvm.example>",
        "List-Post: <mailto:imapvm-talk@lists.imapvm.example>",
        "List-Help: <mailto:imapvm-talk-request@lists.imapvm.example?subject=help>",
        "List-Unsubscribe: <mailto:imapvm-talk-request@lists.imapvm.example>",
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
        "Precedence: list",
        "Auto-Submitted: no",
        *_TEXT,
    )
    return _octets(
        head
        + """
UIDs ascend, and are never used again. A mailbox that is deleted and made
again gets another UIDVALIDITY. Your mail program counts on both; this list
is for people who like to hear why.

-- \n_______________________________________________
imapvm-talk mailing list
imapvm-talk@lists.imapvm.example
"""
    )


def _broken_mime(to: str, now: float) -> bytes:
    head = _head(
        to,
        "somebody who writes their own software <oops@imapvm.example",
        "This message is broken, and that is all right",
        now - 2 * DAY,
        "broken",
        "MIME-Version: 1.0 (more or less)",
        "this line is no header field at all",
        'Content-Type: multipart/mixed; boundary="never closed',
    )
    return _octets(
        head
        + """
The boundary above has one quotation mark too few, the address has no end, one
part below claims to be base64 and is not, and nothing is ever closed.

--never closed
Content-Type: text/plain; charset="no-such-charset"
Content-Transfer-Encoding: base64

This is not base64. ****
--never closed
Content-Type: multipart/alternative
Content-Type: image/png; name=

A server describes this as well as it can, in an answer that every program can
read, and gives every octet of it back as it came.
"""
    )


def _invitation(to: str, now: float) -> bytes:
    def stamp(at: float) -> str:
        return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at))

    start = now - now % DAY + 7 * DAY + 10 * HOUR
    head = _head(
        to,
        "Margaret <margaret@imapvm.example>",
        "Invitation: kill -9 tea party",
        now - 1 * DAY,
        "invitation",
        "MIME-Version: 1.0",
        "Content-Type: multipart/alternative; boundary=invite",
    )
    calendar = f"""BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//imapvm//samples//EN
METHOD:REQUEST
BEGIN:VEVENT
UID:tea-party@samples.imapvm.example
DTSTAMP:{stamp(now - 1 * DAY)}
DTSTART:{stamp(start)}
DTEND:{stamp(start + HOUR)}
SUMMARY:kill -9 tea party
LOCATION:beside the machine
DESCRIPTION:We stop the server five hundred times and count the letters after
 wards. None has been missing so far.
ORGANIZER;CN=Margaret:mailto:margaret@imapvm.example
ATTENDEE;RSVP=TRUE:mailto:{to}
END:VEVENT
END:VCALENDAR
"""
    return _octets(
        head
        + f"""
--invite
Content-Type: text/plain; charset=us-ascii

We stop the server five hundred times and count the letters afterwards. None
has been missing so far. There will be tea.

--invite
Content-Type: text/calendar; charset=utf-8; method=REQUEST

{calendar}--invite--
"""
    )


def _flowed(to: str, now: float) -> bytes:
    head = _head(
        to,
        "Alan <alan@imapvm.example>",
        "Lines that know how to flow",
        now - 12 * HOUR,
        "flowed",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=us-ascii; format=flowed; delsp=no",
    )
    flowed = [
        "> A paragraph whose lines end in a space may be joined again, so that ",
        "> it fits a telephone as well as a terminal.",
        "",
        "That is RFC 3676. The space at the end of a line is easily lost on the ",
        "way; a server that keeps the octets exactly keeps it, too.",
        "",
        "-- ",
        "Alan",
    ]
    return _octets(head + "\n" + "\n".join(flowed) + "\n")


def _inline_picture(to: str, now: float) -> bytes:
    head = _head(
        to,
        "Ada <ada@imapvm.example>",
        "The envelope again, inside the page this time",
        now - 1 * HOUR,
        "inline-picture",
        "MIME-Version: 1.0",
        'Content-Type: multipart/related; type="text/html"; boundary=related',
    )
    return _octets(
        head
        + f"""
--related
Content-Type: text/html; charset=us-ascii

<p>The picture stands where it belongs:</p>
<p><img src="cid:envelope@samples.imapvm.example" alt="an envelope"></p>
<p>It is a part of its own, named by its Content-ID.</p>
--related
Content-Type: image/png
Content-ID: <envelope@samples.imapvm.example>
Content-Transfer-Encoding: base64
Content-Disposition: inline

{_base64(png(64, 44))}--related--
"""
    )


_ALL: tuple[Callable[[str, float], bytes], ...] = (
    _welcome,
    _html_alternative,
    _attachments,
    _forwarded,
    _encoded_words,
    _utf8_body,
    _thread_question,
    _thread_answer,
    _thread_thanks,
    _mailing_list,
    _broken_mime,
    _invitation,
    _flowed,
    _inline_picture,
)
