"""FETCH returns every part that BODYSTRUCTURE announces, as announced: random structures."""

import base64
import quopri
import random
from collections.abc import Iterator

import pytest
from tests.dialogues.host import ClientStream, running
from tests.dialogues.responses.bodies import Part
from tests.dialogues.responses.grammar import Reader

MESSAGES = 25
KNOWN = {b"7BIT", b"8BIT", b"BINARY", b"BASE64", b"QUOTED-PRINTABLE"}
FIELDS = (
    "",
    "Content-Disposition: attachment; filename*1=b.txt; filename*0=a\r\n",
    "Content-Language: en, de\r\n",
    "Content-ID: <1@x>\r\n",
    "line without a colon\r\n",
)
ENCODINGS = ("7bit", "8bit", '"base64"', "base64", "quoted-printable", "x-unknown")


class Structures:
    """Random messages: multiparts, digests, embedded messages, encoded or not, and leaves."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._boundaries = 0

    def message(self) -> bytes:
        return f"Subject: s\r\n{self._entity(0)}".encode()

    def _entity(self, depth: int) -> str:
        kind = self._random.choice(
            ("leaf", "multipart", "message", "digest") if depth < 5 else ("leaf",)
        )
        fields = self._random.choice(FIELDS)
        if kind == "leaf":
            return fields + self._leaf()
        if kind == "message":
            encoding = self._random.choice(("7bit", "7bit", "8bit", "base64", "x-unknown"))
            return (
                f"{fields}Content-Type: message/rfc822; name=old.eml\r\n"
                f"Content-Transfer-Encoding: {encoding}\r\n\r\n"
                f"Subject: inner\r\n{self._entity(depth + 1)}"
            )
        self._boundaries += 1
        boundary = f"b{self._boundaries}"
        subtype = "digest" if kind == "digest" else "mixed"
        children = [self._entity(depth + 1) for _ in range(self._random.randint(0, 3))]
        if kind == "digest":
            children = [f"\r\nSubject: inner\r\n{child}" for child in children]
        text = "".join(f"\r\n--{boundary}\r\n{child}" for child in children)
        end = self._random.choice((f"\r\n--{boundary}--\r\n", ""))
        return f"{fields}Content-Type: multipart/{subtype}; boundary={boundary}\r\n\r\n{text}{end}"

    def _leaf(self) -> str:
        media = self._random.choice(
            ("text/plain", "text/html; charset=utf-8", "image/png", "message/delivery-status", "a")
        )
        encoding = self._random.choice(ENCODINGS)
        body = self._random.choice(("", "text\r\n", "Zm9v\r\nYmFy", "a=\r\nb=41\r\n", "\r\n\r\n"))
        return f"Content-Type: {media}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n{body}"


def announced(part: Part, path: tuple[int, ...], *, of_message: bool) -> Iterator[tuple[str, Part]]:
    """Return part specifiers (RFC 9051 section 6.4.5.1); a body of a message continues its path."""
    if part.type == b"multipart":
        if not of_message:
            yield ".".join(map(str, path)), part
        for number, child in enumerate(part.parts, 1):
            yield from announced(child, (*path, number), of_message=False)
        return
    own = (*path, 1) if of_message else path
    yield ".".join(map(str, own)), part
    for child in part.parts:
        yield from announced(child, own, of_message=True)


async def fetch(stream: ClientStream, items: str, *, status: str = "OK") -> dict[str, object]:
    """Return the values of a FETCH of the last message; `status` is that of the tagged response."""
    start = len(stream.received)
    await stream.send(f"f FETCH * ({items})\r\n".encode())
    while True:
        line = await stream.read_line()
        assert line is not None
        if line.startswith("f "):
            break
    assert line.startswith(f"f {status}"), (items, line)
    reader = Reader(bytes(stream.received[start:]))
    responses = [response for response in reader.all() if response.kind == "FETCH"]
    values: dict[str, object] = {}
    for response in responses:
        values |= response.value
    return values


async def check_part(stream: ClientStream, path: str, part: Part) -> None:
    items = f"BODY.PEEK[{path}] BODY.PEEK[{path}.MIME] BODY.PEEK[{path}]<1.3>"
    if part.envelope is not None:
        items += f" BODY.PEEK[{path}.HEADER] BODY.PEEK[{path}.TEXT]"
    values = await fetch(stream, items)
    body = values[f"BODY[{path}]"]
    assert isinstance(body, bytes)
    assert isinstance(values[f"BODY[{path}.MIME]"], bytes)
    assert values[f"BODY[{path}]<1>"] == body[1:4]
    if part.type != b"multipart":
        assert len(body) == part.size
    if part.lines is not None:
        assert body.count(b"\n") == part.lines
    if part.envelope is not None:
        header, text = values[f"BODY[{path}.HEADER]"], values[f"BODY[{path}.TEXT]"]
        assert isinstance(header, bytes)
        assert isinstance(text, bytes)
        assert header + text == body
    binary = f"BINARY.SIZE[{path}] BINARY.PEEK[{path}]"
    if part.encoding is not None and part.encoding.upper() not in KNOWN:
        assert not await fetch(stream, binary, status="NO [UNKNOWN-CTE]")
        return
    values = await fetch(stream, binary)
    decoded = values[f"BINARY[{path}]"]
    assert isinstance(decoded, bytes)
    assert values[f"BINARY.SIZE[{path}]"] == len(decoded)
    if part.encoding == b"QUOTED-PRINTABLE" and part.type != b"multipart":
        assert decoded.split() == quopri.decodestring(body).split()
    elif part.encoding == b"BASE64" and body.strip() in (b"", b"Zm9v\r\nYmFy"):
        assert decoded == base64.b64decode(body)
    elif part.encoding in (None, b"7BIT", b"8BIT"):
        assert decoded == body


@pytest.mark.parametrize("seed", range(2))
async def test_all_announced_parts_are_returned_as_announced(server_files, client_tls, seed):
    structures = Structures(seed)
    async with running(server_files, client_tls) as host:
        stream = await host.connect()
        await stream.send(b"a LOGIN alice secret\r\nb SELECT INBOX\r\n")
        for _ in range(MESSAGES):
            message = structures.message()
            await stream.send(b"c APPEND INBOX {%d+}\r\n%b\r\n" % (len(message), message))
            values = await fetch(stream, "BODYSTRUCTURE RFC822.SIZE")
            assert values["RFC822.SIZE"] == len(message)
            structure = values["BODYSTRUCTURE"]
            assert isinstance(structure, Part)
            for path, part in announced(structure, (), of_message=True):
                await check_part(stream, path, part)
