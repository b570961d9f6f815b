"""`imapvm-smtpexit`: write a message from standard input into the spool.

A mail system runs it as a pipe transport; other programs run it in place of `sendmail`. No server
needs to be running. Its exit status is one of sysexits.h:

    0   the message is in the spool, on disk
    64  syntax error in the command line                                (EX_USAGE)
    65  malformed address, no recipient, or message too large           (EX_DATAERR)
    75  the spool cannot be written now, try again                      (EX_TEMPFAIL)

All errors that may be temporary are 75, a missing spool directory included: Postfix returns mail to
its sender for every other status, 73 (EX_CANTCREAT) among them.

The command is started once for each message, so each import counts: most are inside functions.
"""

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping

from imapvm.intake.paths import PathError, parse_address
from imapvm.intake.spool.file import crlf_lines, submit_file, write_bsmtp

EX_OK = 0
EX_USAGE = 64
EX_DATAERR = 65
EX_TEMPFAIL = 75

CONFIG = "/etc/imapvm/imapvm.toml"
READ_BYTES = 64 * 1024
CHECK_LIMIT_FROM_BYTES = 1024 * 1024
CHECK_LIMIT_FROM_RECIPIENTS = 100
"""Below these, `imapvm.model.limits` is not imported: it needs `typing`, a seventh of a run."""

USAGE = """\
usage: imapvm-smtpexit [--spool DIR | --config FILE] [-f SENDER] [-t] [RECIPIENT ...] < MESSAGE
       imapvm-smtpexit [--spool DIR | --config FILE] -bS < BATCH

Writes a message into the spool of imapvm. Its lines may end with LF or CRLF.

  --spool DIR    spool directory; default: IMAPVM_SPOOL in the environment, else the key "spool"
                 of the configuration file
  --config FILE  configuration file; default: IMAPVM_CONFIG in the environment, else
                 /etc/imapvm/imapvm.toml
  -f SENDER      envelope sender, <> for the null sender; default: the current user (also: -r)
  -t             add the recipients in To, Cc and Bcc, and remove Bcc
  -bS            standard input is batch SMTP: MAIL, RCPT, DATA and the message, then a dot
  -N WHEN        NOTIFY for every recipient: never, or some of success,failure,delay (RFC 3461)
  -R WHAT        RET: full or hdrs
  -V ID          ENVID, as xtext
  --             end of options
  --help         print this text

These options of sendmail are accepted and ignored: -i, -oi and other -o, -bm, -B, -F, -G, -L, -m,
-n, -O, -U, -v, -X.
"""

_IGNORED = "imnGUv"
_IGNORED_WITH_VALUE = "oBFLOX"
_NOTIFY = re.compile(r"NEVER|(?:SUCCESS|FAILURE|DELAY)(?:,(?:SUCCESS|FAILURE|DELAY)){0,2}")
_HEADER_END = re.compile(rb"(?:\A|\n)(?=\r?\n)")
_BATCH_BEGIN = re.compile(rb"(?:EHLO|HELO|MAIL|RSET|NOOP|VERB|TICK)\b", re.IGNORECASE)
_BATCH_END = re.compile(rb"\n\.\r?\n(?:QUIT\r?\n)?(?:\r?\n)*\Z", re.IGNORECASE)
_LINE = re.compile(rb"[^\n]*\n|[^\n]+")
_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2}){1,100}")


class ExitError(Exception):
    """Error that ends the command, with its exit status. The text goes to standard error."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Options:
    """Parsed command line."""

    def __init__(self) -> None:
        self.spool: str | None = None
        self.config: str | None = None
        self.sender: str | None = None
        self.from_header = False
        self.batch = False
        self.help = False
        self.mail_parameters = ["BODY=8BITMIME"]
        self.rcpt_parameters: list[str] = []
        self.recipients: list[str] = []


def main() -> None:
    """Run as a command."""
    try:
        status = run(sys.argv[1:], os.environ, 0)
    except ExitError as error:
        sys.stderr.write(f"imapvm-smtpexit: {error}\n")
        status = error.status
    except Exception as error:
        # A bug. With Python's status 1 a mail system would return the message to its sender.
        sys.stderr.write(f"imapvm-smtpexit: internal error: {error!r}\n")
        status = EX_TEMPFAIL
    sys.exit(status)


def run(arguments: list[str], environment: Mapping[str, str], stdin: int) -> int:
    """Write the message read from a file descriptor into the spool; return the exit status.

    Raises:
        ExitError: nothing was written. With EX_TEMPFAIL, the file may be in the spool after all.
    """
    options = parse_arguments(arguments)
    if options.help:
        sys.stdout.write(USAGE)
        return EX_OK
    spool = spool_of(options, environment)
    if options.batch:
        if options.recipients or options.from_header or options.sender is not None:
            raise usage("-bS excludes -f, -t and recipients: they are in the batch")
        return submit_to_spool(spool, checked_batch(portions(stdin)))
    message = without_from_line(portions(stdin))
    recipients = options.recipients
    if options.from_header:
        found, message = recipients_of_header(message)
        recipients = [*recipients, *found]
    if not recipients:
        raise ExitError(EX_DATAERR if options.from_header else EX_USAGE, "no recipient")
    file = write_bsmtp(
        address(options.sender, "sender") if options.sender is not None else user_name(),
        distinct(address(recipient, "recipient") for recipient in recipients),
        bounded(crlf_lines(message)),
        mail_parameters=" ".join(options.mail_parameters),
        rcpt_parameters=" ".join(options.rcpt_parameters),
    )
    return submit_to_spool(spool, file)


def submit_to_spool(spool: str, file: Iterable[bytes]) -> int:
    """Write a file into the spool.

    Raises:
        ExitError: EX_TEMPFAIL, or the error of `file`.
    """
    try:
        submit_file(spool, file)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ExitError(EX_TEMPFAIL, f"cannot write to the spool {spool}: {reason}") from None
    return EX_OK


# --- the command line -----------------------------------------------------------------------------


def parse_arguments(arguments: list[str]) -> Options:
    """Parse a command line like sendmail: `-f x`, `-fx`, `-ti`, `--`.

    Raises:
        ExitError: EX_USAGE.
    """
    options = Options()
    remaining = list(arguments)

    def value(attached: str, name: str) -> str:
        if attached:
            return attached
        if not remaining:
            raise usage(f"{name} requires a value")
        return remaining.pop(0)

    while remaining:
        word = remaining.pop(0)
        if word == "--":
            options.recipients += remaining
            break
        if not word.startswith("-") or word == "-":
            options.recipients.append(word)
        elif word.startswith("--"):
            name, has_value, attached = word.partition("=")
            if name == "--help":
                options.help = True
            elif name in {"--spool", "--config"}:
                found = attached if has_value else value("", name)
                setattr(options, name[2:], found)
            else:
                raise usage(f"unknown option {name}")
        else:
            _short_option(options, word[1], word[2:], value)
    return options


def _short_option(
    options: Options, letter: str, attached: str, value: Callable[[str, str], str]
) -> None:
    """Parse one argument. `value(attached, name)` returns the value of an option."""
    name = f"-{letter}"
    if letter in "fr":
        # A separate empty value is the null sender, as in `-f ""`.
        options.sender = value(attached, name)
    elif letter in _IGNORED_WITH_VALUE:
        value(attached, name)
    elif letter == "N":
        wanted = value(attached, name).upper()
        if not _NOTIFY.fullmatch(wanted):
            raise usage("-N requires never, or some of success,failure,delay")
        options.rcpt_parameters.append(f"NOTIFY={wanted}")
    elif letter == "R":
        wanted = value(attached, name).upper()
        if wanted not in {"FULL", "HDRS"}:
            raise usage("-R requires full or hdrs")
        options.mail_parameters.append(f"RET={wanted}")
    elif letter == "V":
        wanted = value(attached, name)
        if not _XTEXT.fullmatch(wanted):
            raise usage("-V requires xtext (RFC 3461 section 4) of at most 100 characters")
        options.mail_parameters.append(f"ENVID={wanted}")
    elif letter == "b":
        if attached not in {"m", "S"}:
            raise usage(f"unknown option -b{attached}")
        options.batch = attached == "S"
    else:
        for flag in letter + attached:
            if flag == "t":
                options.from_header = True
            elif flag not in _IGNORED:
                raise usage(f"unknown option -{flag}")


def usage(text: str) -> ExitError:
    """Return the error for a wrong command line."""
    return ExitError(EX_USAGE, f"{text} (see --help)")


def spool_of(options: Options, environment: Mapping[str, str]) -> str:
    """Return the spool directory: from the options, the environment or the configuration.

    Raises:
        ExitError: EX_USAGE, no spool is configured; EX_TEMPFAIL, the configuration is unreadable.
    """
    if spool := options.spool or (not options.config and environment.get("IMAPVM_SPOOL")):
        return spool
    config = options.config or environment.get("IMAPVM_CONFIG") or CONFIG
    if config == CONFIG and not os.path.exists(CONFIG):
        raise usage("no spool directory: use --spool, --config, IMAPVM_SPOOL or IMAPVM_CONFIG")
    import tomllib

    try:
        with open(config, "rb") as file:
            written = tomllib.load(file).get("spool", "/var/spool/imapvm")
    except OSError as error:
        raise ExitError(EX_TEMPFAIL, f"cannot read {config}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ExitError(EX_TEMPFAIL, f"cannot read {config}: {error}") from None
    if not isinstance(written, str) or not written:
        raise ExitError(EX_TEMPFAIL, f"cannot read {config}: spool is not a path")
    # Relative to the configuration file, as in the server.
    return os.path.join(os.path.dirname(os.path.abspath(config)), written)


def address(text: str, role: str) -> str:
    """Parse an address from the command line.

    Args:
        text: with or without angle brackets.
        role: "sender" or "recipient"; only a sender may be empty.

    Raises:
        ExitError: EX_DATAERR.
    """
    try:
        found = parse_address(text)
    except PathError as error:
        raise ExitError(EX_DATAERR, f"invalid {role} {text!r}: {error}") from None
    if not found and role != "sender":
        raise ExitError(EX_DATAERR, f"{role} is empty")
    return found


def distinct(addresses: Iterable[str]) -> list[str]:
    """Return the addresses without duplicates, in their order.

    Raises:
        ExitError: EX_DATAERR, too many.
    """
    found = list(dict.fromkeys(addresses))
    if len(found) > CHECK_LIMIT_FROM_RECIPIENTS:
        from imapvm.model.limits import SPOOL_RECIPIENTS_MAX

        if len(found) > SPOOL_RECIPIENTS_MAX:
            raise ExitError(EX_DATAERR, f"more than {SPOOL_RECIPIENTS_MAX} recipients")
    return found


def user_name() -> str:
    """Return the current user as an address without domain."""
    import pwd

    try:
        return address(pwd.getpwuid(os.getuid()).pw_name, "sender")
    except KeyError:
        return f"uid-{os.getuid()}"


# --- the message ----------------------------------------------------------------------------------


def portions(descriptor: int) -> Iterator[bytes]:
    """Read a file descriptor to its end."""
    while data := os.read(descriptor, READ_BYTES):
        yield data


def bounded(message: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the message unchanged.

    Raises:
        ExitError: EX_DATAERR, it is larger than INCOMING_MAX.
    """
    size = 0
    for portion in message:
        size += len(portion)
        if size > CHECK_LIMIT_FROM_BYTES:
            from imapvm.model.limits import INCOMING_MAX

            if size > INCOMING_MAX:
                raise ExitError(EX_DATAERR, f"message is larger than {INCOMING_MAX} bytes")
        yield portion


def checked_batch(batch: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the batch unchanged, and check its start and its end.

    The server parses it completely. A broken pipe is detected here, since the caller of the command
    can still handle the error.

    Raises:
        ExitError: EX_DATAERR.
    """
    beginning = end = b""
    for portion in batch:
        if len(beginning) < 5:
            beginning += portion[:5]
            if len(beginning) >= 5 and not _BATCH_BEGIN.match(beginning):
                raise ExitError(EX_DATAERR, "not batch SMTP: it does not start with a command")
        end = (end + portion)[-64:]
        yield portion
    if not _BATCH_END.search(end):
        raise ExitError(EX_DATAERR, "not batch SMTP: it does not end with a dot on its own line")


def without_from_line(message: Iterator[bytes]) -> Iterator[bytes]:
    """Remove the `From ` line of mbox files, which Exim's pipe transport adds."""
    beginning = b""
    for portion in message:
        beginning += portion
        if b"\n" in beginning or not b"From ".startswith(beginning[:5]):
            break
    if beginning.startswith(b"From "):
        while b"\n" not in beginning and (portion := next(message, b"")):
            beginning = portion
        beginning = beginning.partition(b"\n")[2]
    yield beginning
    yield from message


def recipients_of_header(message: Iterator[bytes]) -> tuple[list[str], Iterator[bytes]]:
    """Return the addresses in To, Cc and Bcc, and the message without Bcc.

    Resent fields replace them, if there are any (RFC 5322 section 3.6.6).

    Raises:
        ExitError: EX_DATAERR, the header is too large.
    """
    from email.utils import getaddresses

    from imapvm.model.limits import SMTPEXIT_HEADER_MAX

    header = b""
    while (end := _HEADER_END.search(header)) is None and (more := next(message, b"")):
        header += more
        if len(header) > SMTPEXIT_HEADER_MAX and _HEADER_END.search(header) is None:
            break
    header, body = (header, b"") if end is None else (header[: end.end()], header[end.end() :])
    if len(header) > SMTPEXIT_HEADER_MAX:
        raise ExitError(EX_DATAERR, f"header is larger than {SMTPEXIT_HEADER_MAX} bytes")
    fields = list(_fields(header))
    values: dict[str, list[str]] = {"": [], "resent-": []}
    kept = []
    for name, field in fields:
        prefix, kind = ("resent-", name[7:]) if name.startswith("resent-") else ("", name)
        if kind in {"to", "cc", "bcc"}:
            value = field.partition(b":")[2].decode("utf-8", "surrogateescape")
            values[prefix].append(re.sub(r"[\r\n]+", "", value))
        if kind != "bcc":
            kept.append(field)
    chosen = values["resent-"] or values[""]
    found = [text for _, text in getaddresses(chosen) if text]

    def rebuilt() -> Iterator[bytes]:
        yield b"".join(kept) + body
        yield from message

    return found, rebuilt()


def _fields(header: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield each field: name in lower case, and its lines with line ends."""
    field = b""
    for line in _LINE.findall(header):
        if field and line[:1] not in (b" ", b"\t"):
            yield _name_of(field), field
            field = b""
        field += line
    if field:
        yield _name_of(field), field


def _name_of(field: bytes) -> str:
    return field.partition(b":")[0].strip().decode("ascii", "replace").lower()
