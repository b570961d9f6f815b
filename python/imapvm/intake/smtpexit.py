"""`imapvm-smtpexit`: a message on standard input becomes a spool file.

A mail system runs it as a pipe transport; any program can run it as it would run `sendmail`. No
server needs to be running. It ends with an exit status of sysexits.h:

    0   handed over, on disk
    64  the command line is wrong                                       (EX_USAGE)
    65  an address is none, nobody is addressed, or the message too big (EX_DATAERR)
    75  try again: the spool cannot be written to now                   (EX_TEMPFAIL)

Whatever may be better tomorrow is 75, a spool directory that is missing included: Postfix returns
mail to its sender for every other status, 73 (EX_CANTCREAT) among them.

It is started once for each message, so it imports what a run needs and no more.
"""

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping

from imapvm.intake.paths import PathError, parse_address
from imapvm.intake.spool.file import crlf_lines, submit_file, write_bsmtp

TYPE_CHECKING = False  # as type checkers know it; `typing` takes a seventh of the whole run
if TYPE_CHECKING:
    from typing import NoReturn, Protocol

    class TakeValue(Protocol):
        """Gives an option's value: what is attached, or the next word."""

        def __call__(self, attached: str, name: str) -> str: ...


EX_OK = 0
EX_USAGE = 64
EX_DATAERR = 65
EX_TEMPFAIL = 75

CONFIG = "/etc/imapvm/imapvm.toml"
READ = 64 * 1024
LARGE = 1024 * 1024
"""Only a message of so many octets, or so many recipients, is worth importing the bounds for."""
MANY = 100

USAGE = """\
usage: imapvm-smtpexit [--spool DIR | --config FILE] [-f SENDER] [-t] [RECIPIENT ...] < MESSAGE
       imapvm-smtpexit [--spool DIR | --config FILE] -bS < BATCH

Hands a message over to imapvm. Its lines may end with LF or CRLF.

  --spool DIR    the spool directory; else IMAPVM_SPOOL of the environment, else the key "spool"
                 of the configuration file
  --config FILE  the configuration file; else IMAPVM_CONFIG of the environment, else
                 /etc/imapvm/imapvm.toml
  -f SENDER      the envelope sender, <> for none; else the user who runs this (also: -r)
  -t             recipients are also those of To, Cc and Bcc; Bcc is taken out
  -bS            standard input is batch SMTP: MAIL, RCPT, DATA and the message, then a dot
  -N WHEN        NOTIFY of every recipient: never, or some of success,failure,delay (RFC 3461)
  -R WHAT        RET: full or hdrs
  -V ID          ENVID, as xtext
  --             only recipients follow
  --help         this text

Options of sendmail that mean nothing here are passed over: -i, -oi and other -o, -bm, -B, -F, -G,
-L, -m, -n, -O, -U, -v, -X.
"""

_PASSED_OVER = "imnGUv"
_PASSED_OVER_WITH_VALUE = "oBFLOX"
_NOTIFY = re.compile(r"NEVER|(?:SUCCESS|FAILURE|DELAY)(?:,(?:SUCCESS|FAILURE|DELAY)){0,2}")
_HEADER_END = re.compile(rb"(?:\A|\n)(?=\r?\n)")
_BATCH_BEGIN = re.compile(rb"(?:EHLO|HELO|MAIL|RSET|NOOP|VERB|TICK)\b", re.IGNORECASE)
_BATCH_END = re.compile(rb"\n\.\r?\n(?:QUIT\r?\n)?(?:\r?\n)*\Z", re.IGNORECASE)
_LINE = re.compile(rb"[^\n]*\n|[^\n]+")
_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2}){1,100}")


class ExitError(Exception):
    """Ends the command with one sentence on standard error."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class Options:
    """The command line, understood."""

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


def main() -> "NoReturn":
    """Run as a command."""
    try:
        status = run(sys.argv[1:], os.environ, 0)
    except ExitError as error:
        sys.stderr.write(f"imapvm-smtpexit: {error}\n")
        status = error.status
    except Exception as error:
        # Our own bug, after which Python's status 1 would make a mail system give the message up.
        sys.stderr.write(f"imapvm-smtpexit: internal error: {error!r}\n")
        status = EX_TEMPFAIL
    sys.exit(status)


def run(arguments: list[str], environment: Mapping[str, str], stdin: int) -> int:
    """Hand over the message that can be read from a file descriptor.

    Raises:
        ExitError: nothing was handed over, for certain unless the status is EX_TEMPFAIL.
    """
    options = parse_arguments(arguments)
    if options.help:
        sys.stdout.write(USAGE)
        return EX_OK
    spool = spool_of(options, environment)
    if options.batch:
        if options.recipients or options.from_header or options.sender is not None:
            raise usage("with -bS, sender and recipients stand in the batch")
        return submit_to_spool(spool, checked_batch(portions(stdin)))
    message = without_from_line(portions(stdin))
    recipients = options.recipients
    if options.from_header:
        found, message = recipients_of_header(message)
        recipients = [*recipients, *found]
    if not recipients:
        raise ExitError(
            EX_USAGE if not options.from_header else EX_DATAERR, "there is no recipient"
        )
    file = write_bsmtp(
        address(options.sender, "the sender") if options.sender is not None else user_name(),
        distinct(address(recipient, "the recipient") for recipient in recipients),
        bounded(crlf_lines(message)),
        mail_parameters=" ".join(options.mail_parameters),
        rcpt_parameters=" ".join(options.rcpt_parameters),
    )
    return submit_to_spool(spool, file)


def submit_to_spool(spool: str, file: Iterable[bytes]) -> int:
    """Put a file into the spool.

    Raises:
        ExitError: EX_TEMPFAIL; or what `file` raises.
    """
    try:
        submit_file(spool, file)
    except OSError as error:
        why = error.strerror or str(error)
        raise ExitError(EX_TEMPFAIL, f"cannot write to the spool {spool}: {why}") from None
    return EX_OK


# --- the command line -----------------------------------------------------------------------------


def parse_arguments(arguments: list[str]) -> Options:
    """Understand a command line as sendmail does: `-f x`, `-fx`, `-ti`, `--`.

    Raises:
        ExitError: EX_USAGE.
    """
    options = Options()
    rest = list(arguments)

    def value(attached: str, name: str) -> str:
        if attached:
            return attached
        if not rest:
            raise usage(f"{name} needs a value")
        return rest.pop(0)

    while rest:
        word = rest.pop(0)
        if word == "--":
            options.recipients += rest
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
                raise usage(f"there is no option {name}")
        else:
            _short_option(options, word[1], word[2:], value)
    return options


def _short_option(options: Options, letter: str, attached: str, value: "TakeValue") -> None:
    name = f"-{letter}"
    if letter in "fr":
        # An empty value of its own is the null sender, as `-f ""` of a shell.
        options.sender = value(attached, name)
    elif letter in _PASSED_OVER_WITH_VALUE:
        value(attached, name)
    elif letter == "N":
        wanted = value(attached, name).upper()
        if not _NOTIFY.fullmatch(wanted):
            raise usage("-N is never, or some of success,failure,delay")
        options.rcpt_parameters.append(f"NOTIFY={wanted}")
    elif letter == "R":
        wanted = value(attached, name).upper()
        if wanted not in {"FULL", "HDRS"}:
            raise usage("-R is full or hdrs")
        options.mail_parameters.append(f"RET={wanted}")
    elif letter == "V":
        wanted = value(attached, name)
        if not _XTEXT.fullmatch(wanted):
            raise usage("-V is xtext (RFC 3461 section 4), at most 100 characters")
        options.mail_parameters.append(f"ENVID={wanted}")
    elif letter == "b":
        if attached not in {"m", "S"}:
            raise usage(f"-b{attached} is not what this command can do")
        options.batch = attached == "S"
    else:
        for flag in letter + attached:
            if flag == "t":
                options.from_header = True
            elif flag not in _PASSED_OVER:
                raise usage(f"there is no option -{flag}")


def usage(sentence: str) -> ExitError:
    """A mistake in the command line."""
    return ExitError(EX_USAGE, f"{sentence} (see --help)")


def spool_of(options: Options, environment: Mapping[str, str]) -> str:
    """The spool directory: what is nearest to the one who runs this wins.

    Raises:
        ExitError: EX_USAGE where none is named; EX_TEMPFAIL where the configuration cannot be read.
    """
    if spool := options.spool or (not options.config and environment.get("IMAPVM_SPOOL")):
        return spool
    config = options.config or environment.get("IMAPVM_CONFIG") or CONFIG
    if config == CONFIG and not os.path.exists(CONFIG):
        raise usage("no spool: --spool, --config, IMAPVM_SPOOL or IMAPVM_CONFIG names it")
    import tomllib

    try:
        with open(config, "rb") as file:
            written = tomllib.load(file).get("spool", "/var/spool/imapvm")
    except OSError as error:
        raise ExitError(EX_TEMPFAIL, f"cannot read {config}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ExitError(EX_TEMPFAIL, f"{config} is not TOML: {error}") from None
    if not isinstance(written, str) or not written:
        raise ExitError(EX_TEMPFAIL, f"{config} names no spool")
    # As the server reads it: a relative path starts where the file is.
    return os.path.join(os.path.dirname(os.path.abspath(config)), written)


def address(text: str, what: str) -> str:
    """An address of the command line, checked.

    Raises:
        ExitError: EX_DATAERR.
    """
    try:
        found = parse_address(text)
    except PathError as error:
        raise ExitError(EX_DATAERR, f"{what} {text!r} is no address: {error}") from None
    if not found and what != "the sender":
        raise ExitError(EX_DATAERR, f"{what} is empty")
    return found


def distinct(addresses: Iterable[str]) -> list[str]:
    """Each once, in their order.

    Raises:
        ExitError: EX_DATAERR, there are too many.
    """
    found = list(dict.fromkeys(addresses))
    if len(found) > MANY:
        from imapvm.model.limits import SPOOL_RECIPIENTS_MAX

        if len(found) > SPOOL_RECIPIENTS_MAX:
            sentence = f"a message has at most {SPOOL_RECIPIENTS_MAX} recipients"
            raise ExitError(EX_DATAERR, sentence)
    return found


def user_name() -> str:
    """Who runs this, as an address without domain."""
    import pwd

    try:
        return address(pwd.getpwuid(os.getuid()).pw_name, "the sender")
    except KeyError:
        return f"uid-{os.getuid()}"


# --- the message ----------------------------------------------------------------------------------


def portions(descriptor: int) -> Iterator[bytes]:
    """All that can be read."""
    while data := os.read(descriptor, READ):
        yield data


def bounded(message: Iterable[bytes]) -> Iterator[bytes]:
    """The same octets.

    Raises:
        ExitError: EX_DATAERR once there are more than the server takes.
    """
    size = 0
    for portion in message:
        size += len(portion)
        if size > LARGE:
            from imapvm.model.limits import INCOMING_MAX

            if size > INCOMING_MAX:
                raise ExitError(EX_DATAERR, f"a message has at most {INCOMING_MAX} octets")
        yield portion


def checked_batch(batch: Iterator[bytes]) -> Iterator[bytes]:
    """The same octets, if they look like batch SMTP from their beginning to their end.

    The server reads them closely; a pipe that broke is better found out here, where somebody can
    still be told.

    Raises:
        ExitError: EX_DATAERR.
    """
    beginning = end = b""
    for portion in batch:
        if len(beginning) < 5:
            beginning += portion[:5]
            if len(beginning) >= 5 and not _BATCH_BEGIN.match(beginning):
                raise ExitError(EX_DATAERR, "this is not batch SMTP: it begins with no command")
        end = (end + portion)[-64:]
        yield portion
    if not _BATCH_END.search(end):
        raise ExitError(EX_DATAERR, "this is not batch SMTP: it ends without a dot on its own line")


def without_from_line(message: Iterator[bytes]) -> Iterator[bytes]:
    """Leave out the `From ` line of mbox files, which Exim's pipe transport puts first."""
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
    """The addresses of To, Cc and Bcc, and the message without Bcc.

    Where there are Resent fields, those count instead (RFC 5322 section 3.6.6).

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
        raise ExitError(EX_DATAERR, f"the header is over {SMTPEXIT_HEADER_MAX} octets")
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
    """Each field's name in lower case, and its octets with continuation lines and line ends."""
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
