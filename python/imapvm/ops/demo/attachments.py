"""Generated attachments of the sample messages: an image and a document."""

import struct
import zlib


def png(width: int = 96, height: int = 64) -> bytes:
    """Return a PNG image (8-bit RGB) of an envelope on blue."""
    background, paper, edge = (0x1F, 0x6F, 0xB2), (0xFF, 0xF8, 0xE7), (0x8A, 0x5A, 0x2B)
    left, right, top, bottom = width // 8, width * 7 // 8, height // 6, height * 5 // 6
    rows = []
    for y in range(height):
        row = bytearray(b"\0")  # filter type 0: none
        for x in range(width):
            if not (left <= x < right and top <= y < bottom):
                row += bytes(background)
                continue
            slope = abs(2 * (x - left) - (right - left)) / (right - left)
            flap = top + (bottom - top) * 0.6 * (1 - slope)
            border = x in {left, right - 1} or y in {top, bottom - 1}
            row += bytes(edge if border or abs(y - flap) < 1 else paper)
        rows.append(bytes(row))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", header),
            _chunk(b"IDAT", zlib.compress(b"".join(rows), 9)),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def pdf(lines: list[str]) -> bytes:
    """Return a PDF page; the lines are ASCII without parentheses and backslashes."""
    text = " T* ".join(f"({line}) Tj" for line in lines)
    page = f"BT /F1 14 Tf 18 TL 72 760 Td {text} ET".encode("ascii")
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(page), page),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    out = bytearray(b"%PDF-1.4\n")
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    for offset in offsets:
        out += b"%010d 00000 n \n" % offset
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (
        len(objects) + 1,
        table,
    )
    return bytes(out)
