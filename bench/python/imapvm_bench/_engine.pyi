"""The load engine: many connections on threads of its own, the GIL released.

This is the one place where the plan, the report and the snapshot are described; all of them are
JSON objects as text. Times are CLOCK_MONOTONIC. Unless said otherwise, latencies are whole
microseconds, from 1 to 600,000,000, kept to three digits.

The plan
========

Fields without a default must be there; unknown fields are refused. ::

    protocol          "imap" or "lmtp"
    host, port        where the server listens; a name is looked up once, its first address is used
    tls               "none" (default), "tls" or "starttls"
    server_name       name for SNI and for the certificate (default: host)
    verify            check the server's certificate (default false)
    ca                PEM file of the authorities to trust with `verify` (default null: the
                      system's)
    tls_resumption    resume TLS sessions, as phones do (default false: every handshake is full)
    sources           local addresses to bind to, in turn (default []: the kernel chooses)
    connections       1..1,000,000
    threads           1..256 (default 1); connection n belongs to thread n % threads
    connects_at_once  connections being opened and logged in at a time, at the start (default 64)
    warmup_seconds    default 0
    seconds           of measured time; null where `limit` or `limit_each` ends it
    limit             end after so many mix entries of the measured time (default null)
    limit_each        a connection ends after so many of its own (default null)
    rate              open loop: mix entries a second, of all connections (default null: closed
                      loop)
    arrivals          "constant" (default) or "poisson": see below
    pipeline          commands in flight on a connection, 1..1024 (default 1)
    reconnect         every entry is connect, log-in, set-up, its commands, LOGOUT (default false)
    answer_seconds    what takes longer is the error "timeout" (default 30)
    seed              of every random choice (default 1)
    users             [["name", "password"], ...]; connection n is users[n % len]
    messages          ["<base64>", ...] for APPEND and DATA, with CRLF line ends
    message_order     "random" (default), or "turn": each connection takes them in turn, from the
                      first, so `fill` can put the same messages, each once, into every mailbox
    login, setup      [COMMAND, ...] (default [])
    mix               [{"name": "sync", "weight": 3, "think_ms": [0, 0],
                        "commands": [COMMAND, ...]}, ...]
                      weight 1 and no think time by default; empty for Idle

    COMMAND = {"label": "FETCH FLAGS",    row of the report
               "parts": [PART, ...],      the engine adds tag and CRLF
               "answer": "tagged" (default for imap), "lmtp" (default for lmtp) or "idle",
               "hold_ms": 0,              how long an "idle" stays before DONE
               "may_fail": false}         true: NO is no error (CREATE of what may exist)
    PART = {"text": "FETCH "}
         | {"user": true} | {"password": true}     as they are: quote them with text parts
         | {"plain": true}                         base64 of NUL user NUL password
         | {"random": [1, 1000]}                   uniform, both ends included
         | {"exists": true}                        messages in the mailbox, as EXISTS said last
         | {"random_message": true}                1..exists; 1 where nothing is known
         | {"random_range": 50}                    FIRST:LAST, so many messages in a row within
                                                   1..exists; 1:exists where there are fewer, 1:1
                                                   where nothing is known
         | {"counter": true}                       of the connection: from 1, one more at each use
         | {"connection": true}                    number of the connection, from 0
         | {"message": "literal+"}                 one of `messages` as a literal; "literal" waits
                                                   for the server's "+"
         | {"data": true}                          lmtp, last part of a DATA command: after 354,
                                                   one of `messages`, dot-stuffed, and the final dot

In `lmtp`, the engine knows LHLO, MAIL, RCPT, DATA and QUIT by their verb; DATA is answered once for
each RCPT that was accepted. STARTTLS, and with `reconnect` LOGOUT or QUIT, are said by the engine.

How it is measured
==================

First all connections are opened, logged in and set up (what fails is tried three times; a log-in
that is refused, once). Then all start together; after `warmup_seconds` the measured time begins.
What is answered in the measured time is counted. At its end nothing new is begun, and what is in
flight may end within two seconds, uncounted.

* A command's latency is from just before the write of its first octet to just after the read of its
  last. The hold of an "idle" is not part of it.
* An entry's latency is from the start of its first command (with `reconnect`: from connect) to the
  end of its last one. Where a command fails, the rest of its entry is not sent, and the entry is an
  error.
* `think_ms` is waited before an entry, uniformly distributed, and before the first one of a
  connection from zero up, so that they do not all start at once.
* With `rate`, entry k is due at k / rate (`constant`: the tool adds no bursts of its own, so two
  runs can be compared) or at the k-th event of a Poisson process (`poisson`: independent users). It
  is begun by the connection that has been free for longest. Where none is free it waits in a
  backlog, and the latency of the entry and of its first command counts from when it was due: a
  server that stalls cannot hide it. `think_ms` is not used. While 1,000,000 entries wait on a
  thread, new ones are dropped, as the error "backlog full".
* A connection that breaks is opened again after 0.1 to 1.6 seconds, and logged in and set up again.

The report
==========

::

    seconds         the measured time; opened_seconds: what opening all connections took
    connections     as planned; opened: so many were set up at the start
    totals          {"commands", "entries", "bytes_in", "bytes_out", "errors"} of the measured
                    time; octets are those of the protocol, before TLS
    labels          {label: {"count", "errors", "bytes_in", "histogram": [[us, count], ...]}}
                    count and histogram are of answers that are no errors; with `reconnect`
                    CONNECT, log-in, set-up and LOGOUT are here, too
    entries         {name: {"count", "errors", "histogram"}}
    setup           as labels, for log-in and set-up at any time, with CONNECT: from connect to the
                    greeting, TLS included
    series          {"step_ms": 100, "commands": [...], "bytes_in": [...], "errors": [...],
                    "p99_us": [...]}, a number a step of the measured time (p99 to two digits, 0
                    where nothing was answered); the last step may be short
    errors          {kind: {"count", "example"}} of all times; a kind is one of ERROR_KINDS
    unfinished      {"in_flight", "oldest_us", "backlog"} at the end of the measured time:
                    commands without an answer, age of the oldest, open-loop entries not begun
    ended           "time", "limit", "stopped", or a sentence that begins with
                    "server stopped answering: " or "no connection could be set up: "

The snapshot
============

::

    phase           "waiting" (not started), "opening", "warming up", "measuring", "ended"
    elapsed         seconds in this phase
    open            connections that are logged in and set up
    totals          as in the report, so far; zeros before the measured time
    recent          {"commands_per_second", "bytes_in_per_second", "p50_us", "p99_us"} of the last
                    second
    errors          {kind: count} of all times
"""

from typing import Final, final

ERROR_KINDS: Final[tuple[str, ...]]
"""Every kind of error there is: of answers, of connections, of the tool itself. A fixed set, so
that no server can make the report grow."""

@final
class Load:
    """One load: connections that work through a plan.

    Dropping a Load that runs ends it.
    """

    def __new__(cls, plan: str) -> Load:
        """Read the plan and look up the host.

        Raises:
            ValueError: the plan is no JSON, or a field is missing, unknown or wrong; the message
                begins with the field's path, as `mix[0].commands[1].parts[2]: ...`.
            OSError: the host's name has no address.
        """
    def start(self) -> None:
        """Begin, on threads of its own.

        The caller sees to it that the process may have as many descriptors as there are
        connections (RLIMIT_NOFILE); a connection without one is an error of the load.

        Raises:
            RuntimeError: it was started before.
            OSError: no thread or epoll descriptor was to be had.
        """
    def snapshot(self) -> str:
        """How it stands: JSON, see above. Takes microseconds; made for every 100 to 250 ms."""
    def stop(self) -> None:
        """End early; what was measured so far stays. Returns at once, any number of times."""
    def finish(self) -> str:
        """Wait, without the GIL, until all has ended; the report as JSON, see above.

        A signal handler of Python does not run meanwhile: who wants Ctrl-C to end a load calls
        this when `snapshot` says "ended". May be called again.

        Raises:
            RuntimeError: it was not started, or a thread of the engine panicked (a defect).
        """

@final
class Idle:
    """Connections that log in, are set up, sit in IDLE and note when news arrives.

    The plan is that of Load, with an empty `mix`; seconds, limits, rate, pipeline and reconnect are
    not used and may be left out. IDLE is begun anew every 25 minutes (RFC 9051 section 6.3.13 wants
    it before 30). A connection that breaks once it idles is not opened again.
    """

    def __new__(cls, plan: str) -> Idle:
        """As for Load."""
    def start(self) -> None:
        """As for Load."""
    def state(self) -> str:
        """Return JSON.

        {"idling": n, "opening": n, "failed": n, "errors": {kind: [count, example]},
        "arrivals_dropped": n}. `failed` counts connections that could not be opened, or broke.
        The first three add up to the connections of the plan.
        """
    def arrivals(self) -> list[tuple[int, int, int]]:
        """What has arrived since the last call, at most 4,000,000 of them, and is forgotten here.

        Each: the connection's number from 0, CLOCK_MONOTONIC in nanoseconds just after the read
        (comparable with `time.monotonic_ns()` on Linux), and the number that EXISTS said.
        In order of time for each connection, not between connections. More than there is room for
        are counted as `arrivals_dropped`.
        """
    def stop(self) -> None:
        """Close all connections and wait until that is done."""

@final
class Responder:
    """The trivial compiled server that the engine is measured against.

    It listens on 127.0.0.1, from construction on, with one thread. It greets, and answers OK to
    whatever it is told. `SELECT` says `* 1 EXISTS` before, `FETCH` and `UID FETCH` send one message
    with a literal of `literal` octets (none where that is 0), IDLE lasts until DONE, LOGOUT
    closes, and literals are asked for and thrown away.
    """

    def __new__(cls, *, literal: int = 0) -> Responder:
        """Raise OSError where no port is to be had; ValueError for a literal above 1 GiB."""
    @property
    def port(self) -> int: ...
    def stop(self) -> None:
        """Close everything and wait until that is done; any number of times."""
