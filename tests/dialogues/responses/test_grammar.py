"""The strict parser accepts the grammar of the RFC, and nothing else."""

import pytest
from tests.dialogues.responses.grammar import Reader
from tests.dialogues.responses.tokens import GrammarError

PLAIN = b'("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 12 1)'
FULL = PLAIN[:-1] + b' NIL ("INLINE" NIL) ("en" "fi") NIL)'
ENVELOPE = b'(NIL "s" ((NIL NIL "a" "b")(NIL NIL NIL NIL)) NIL NIL NIL NIL NIL NIL "<a@b>")'
LETTER = b'("MESSAGE" "RFC822" NIL NIL NIL "7BIT" 99 ' + ENVELOPE + b" " + PLAIN + b" 8)"

GOOD = [
    b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] ready\r\n",
    b"* OK [UIDVALIDITY 7] x\r\n",
    b"* OK [PERMANENTFLAGS (\\Seen $Junk \\*)] x\r\n",
    b"a1 OK [COPYUID 7 1:3,9 4:7] x\r\n",
    b"a1 NO [BADCHARSET (US-ASCII UTF-8)] x\r\n",
    b"+ \r\n",
    b"+ go on\r\n",
    b"* 0 EXISTS\r\n",
    b"* 3 EXPUNGE\r\n",
    b'* LIST (\\HasNoChildren) "/" {3}\r\na"b\r\n',
    b'* LIST (\\NonExistent) "/" a ("CHILDINFO" ("SUBSCRIBED"))\r\n',
    b'* LIST () "/" &AOk-\r\n',
    b"* STATUS INBOX (MESSAGES 1 SIZE 99999999999)\r\n",
    b"* SEARCH\r\n",
    b"* SEARCH 1 4294967295\r\n",
    b'* ESEARCH (TAG "a1") UID COUNT 0\r\n',
    b'* ESEARCH (TAG "a1") UID PARTIAL (-1:-3 4:5,9) COUNT 7\r\n',
    b'* ESEARCH (TAG "a1") PARTIAL (1:3 NIL)\r\n',
    b'* ESEARCH (TAG "a1") ALL 1,5,10 RELEVANCY (4 99 42)\r\n',
    b'* ESEARCH (TAG "a1" MAILBOX "a b" UIDVALIDITY 7) UID ALL 3\r\n',
    b'* ESEARCH (TAG "B01") UID ADDTO (0 32768:32769)\r\n',
    b'* ESEARCH (TAG "C01") UID ADDTO (1 2733 1 2732 1 2731)\r\n',
    b'* ESEARCH (TAG "C01") UID ADDTO (1 2733) ADDTO (1 2731:2732)\r\n',
    b'* ESEARCH (TAG "C01") REMOVEFROM (2 7,5) ADDTO (1 3)\r\n',
    b'* NO [NOUPDATE "B02"] Too many contexts\r\n',
    b"* 7 UIDFETCH (FLAGS ())\r\n",
    b'* UIDBATCHES (TAG "a1")\r\n',
    b'* UIDBATCHES (TAG "a1") 9:7,6:6,5:1\r\n',
    b'* NAMESPACE (("" "/")) NIL NIL\r\n',
    b"* 1 FETCH (FLAGS () UID 5)\r\n",
    b'* 1 FETCH (BODY[1.2.HEADER.FIELDS.NOT (a "b c")]<7> {2}\r\nab)\r\n',
    b"* 1 FETCH (BINARY[1] ~{2}\r\n\0b BINARY.SIZE[1] 2)\r\n",
    b'* 1 FETCH (INTERNALDATE " 1-Jan-2024 00:00:00 +0000")\r\n',
    b"* 1 FETCH (BODY " + PLAIN + b" BODYSTRUCTURE " + FULL + b")\r\n",
    b"* 1 FETCH (BODY (" + PLAIN + LETTER + b' "MIXED"))\r\n',
    b"* 1 FETCH (BODYSTRUCTURE (" + FULL + b' "MIXED" NIL NIL NIL NIL))\r\n',
    b"* 1 FETCH (ENVELOPE " + ENVELOPE + b")\r\n",
]

BAD = [
    b'* ESEARCH (TAG "a1" MAILBOX a UIDVALIDITY 7) ALL 3\r\n',
    b'* ESEARCH (TAG "a1" MAILBOX a) UID ALL 3\r\n',
    b'* ESEARCH (TAG "C01") ADDTO ()\r\n',
    b'* ESEARCH (TAG "C01") ADDTO (1)\r\n',
    b'* ESEARCH (TAG "C01") REMOVEFROM (1 NIL)\r\n',
    b"* NO [NOUPDATE B02] x\r\n",
    b"* 0 UIDFETCH (FLAGS ())\r\n",
    b"* UIDBATCHES 9:7\r\n",
    b'* UIDBATCHES (TAG "a1") 9\r\n',
    b'* UIDBATCHES (TAG "a1") \r\n',
    b'* ESEARCH (TAG "a1") UID PARTIAL (-1:3 4:5)\r\n',
    b'* ESEARCH (TAG "a1") UID PARTIAL (1:3)\r\n',
    b"* OK [UIDVALIDITY 0] x\r\n",
    b"* OK [UIDVALIDITY 7]\r\n",
    b"* OK [NEVERHEARD] x\r\n",
    b"* OK\r\n",
    b"a1 OK caf\xc3\xa9\r\n",
    b"a1 BYE x\r\n",
    b"a+1 OK x\r\n",
    b"+\r\n",
    b"* 03 EXISTS\r\n",
    b"* 4294967296 EXISTS\r\n",
    b"* 0 EXPUNGE\r\n",
    b"* 1  EXISTS\r\n",
    b"* 1 EXISTS \r\n",
    b"* 1 EXISTS\n",
    b'* LIST (\\NonExistent \\Noselect) "/" a\r\n',
    b'* LIST (\\HasChildren \\HasNoChildren) "/" a\r\n',
    b'* LIST () "/" a%\r\n',
    b'* LIST () "/" "caf\xc3\xa9"\r\n',
    b'* LIST () "/" "a\\b"\r\n',
    b"* STATUS INBOX (UIDNEXT 0)\r\n",
    b"* SEARCH 0\r\n",
    b"* SEARCH 1 \r\n",
    b"* ESEARCH (TAG a1) ALL 1\r\n",
    b'* ESEARCH (TAG "a1") ALL $\r\n',
    b'* ESEARCH (TAG "a1") MIN 0\r\n',
    b"* FLAGS (\\Unheard)\r\n",
    b"* 1 FETCH ()\r\n",
    b"* 1 FETCH (UID 0)\r\n",
    b"* 1 FETCH (BODY[] {3}\r\n\0bc)\r\n",
    b'* 1 FETCH (BODY[0] "a")\r\n',
    b'* 1 FETCH (BODY[MIME.1] "a")\r\n',
    b'* 1 FETCH (INTERNALDATE "1-Jan-2024 00:00:00 +0000")\r\n',
    b'* 1 FETCH (BODY ("TEXT" "PLAIN" NIL NIL NIL NIL 12 1))\r\n',
    b'* 1 FETCH (BODY ("TEXT" "PLAIN" () NIL NIL "7BIT" 12 1))\r\n',
    b'* 1 FETCH (BODY ("TEXT" "PLAIN" NIL NIL NIL "7BIT" 12))\r\n',
    b'* 1 FETCH (BODY ("IMAGE" "PNG" NIL NIL NIL "7BIT" 12 1))\r\n',
    b'* 1 FETCH (BODY ("MESSAGE" "RFC822" NIL NIL NIL "7BIT" 12))\r\n',
    b'* 1 FETCH (BODY ("MULTIPART" "MIXED" NIL NIL NIL "7BIT" 12))\r\n',
    b'* 1 FETCH (BODY ("MIXED"))\r\n',
    b"* 1 FETCH (BODY " + FULL + b")\r\n",
    b"* 1 FETCH (BODY (" + PLAIN + b" " + PLAIN + b' "MIXED"))\r\n',
    b"* 1 FETCH (ENVELOPE (NIL NIL () NIL NIL NIL NIL NIL NIL NIL))\r\n",
    b'* 1 FETCH (BODY[TEXT] "caf\xc3\xa9")\r\n',
]

GOOD += [
    b'* QUOTA "#user/alice" (STORAGE 54 111 MESSAGE 42 1000)\r\n',
    b'* QUOTA "" (STORAGE 10 9223372036854775807)\r\n',
    b'* QUOTAROOT INBOX "#user/alice" "!partition/sda4"\r\n',
    b"* QUOTAROOT comp.mail.mime\r\n",
    b"* STATUS INBOX (MESSAGES 12 DELETED 4 DELETED-STORAGE 8)\r\n",
]
BAD += [
    b'* QUOTA "" ()\r\n',
    b'* QUOTA "" (STORAGE 10)\r\n',
    b'* QUOTA "" (STORAGE 10 9223372036854775808)\r\n',
    b"* QUOTA (STORAGE 10 20)\r\n",
    b"* QUOTAROOT INBOX (a)\r\n",
]

ENABLED = b"* ENABLED IMAP4rev2\r\n"


@pytest.mark.parametrize("received", GOOD)
def test_valid_responses_are_parsed(received):
    assert len(Reader(received).all()) == 1


@pytest.mark.parametrize("received", BAD)
def test_invalid_responses_are_refused(received):
    with pytest.raises(GrammarError):
        Reader(received).all()


@pytest.mark.parametrize("received", GOOD)
def test_a_part_of_a_response_is_refused(received):
    for end in range(1, len(received)):
        with pytest.raises(GrammarError):
            Reader(received[:end]).all()


def test_enabling_rev2_allows_utf8_and_ends_recent():
    assert Reader(ENABLED + b'* LIST () "/" "caf\xc3\xa9"\r\n').all()[1].value[2] == "café"
    for received in (b"* 1 RECENT\r\n", b"* FLAGS (\\Recent)\r\n", b'* LIST () "/" "caf\xe9"\r\n'):
        assert received.isascii() is False or Reader(received).all()
        with pytest.raises(GrammarError):
            Reader(ENABLED + received).all()
