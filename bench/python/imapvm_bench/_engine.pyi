"""The load engine: many connections on its own threads, with the GIL released.

The plan, the report and the snapshot are JSON objects as text, described here and nowhere else.
Times are CLOCK_MONOTONIC. Latencies are whole microseconds from 1 to 600,000,000, to three digits,
unless stated otherwise.

The plan
========

Fields without a default are required; unknown fields are refused. ::

    protocol          "imap" or "lmtp"
    host, port        address of the server; a name is looked up once, and its first address is used
    tls               "none" (default), "tls" or "starttls"
    server_name       name for SNI and for the certificate (default: host)
    verify            check the server's certificate (default false)
    ca                PEM file of the authorities to trust with `verify` (default null: those of the
                      system)
    tls_resumption    resume TLS sessions, as phones do (default false: every handshake is full)
    sources           local addresses to bind to, in turn (default []: the kernel chooses)
    connections       1..1,000,000
    threads           1..256 (default 1); connection n belongs to thread n % threads
    connects_at_once  connections opened and logged in at the same time, at the start (default 64)
    warmup_seconds    default 0
    seconds           measured time; null where `limit` or `limit_each` ends it
    limit             end after this many mix entries of the measured time (default null)
    limit_each        the same for each connection (default null)
    rate              open loop: mix entries a second over all connections (default null: closed
                      loop)
    arrivals          "constant" (default) or "poisson": see below
    pipeline          commands in flight on a connection, 1..1024 (default 1)
    reconnect         every entry is connect, log-in, set-up, its commands, LOGOUT (default false)
    answer_seconds    a slower answer is the error "timeout" (default 30)
    seed              seed of all random choices (default 1)
    users             [["name", "password"], ...]; connection n is users[n % len]
    messages          ["<base64>", ...] for APPEND and DATA, with CRLF line ends
    message_order     "random" (default) or "turn": each connection starts with the first
    login, setup      [COMMAND, ...] (default [])
    mix               [{"name": "sync", "weight": 3, "think_ms": [0, 0],
                        "commands": [COMMAND, ...]}, ...]
                      weight 1 and no think time by default; empty for IdleLoad

    COMMAND = {"label": "FETCH FLAGS",    row of the report
               "parts": [PART, ...],      the engine adds tag and CRLF
               "answer": "tagged" (default for imap), "lmtp" (default for lmtp) or "idle",
               "hold_ms": 0,              time from "+" to DONE of an "idle"
               "may_fail": false}         true: NO is not an error (CREATE of what may exist)
    PART = {"text": "FETCH "}
         | {"user": true} | {"password": true}     unquoted: add quotes as text parts
         | {"plain": true}                         base64 of NUL user NUL password
         | {"random": [1, 1000]}                   uniform, both ends included
         | {"exists": true}                        number of the last EXISTS
         | {"random_message": true}                1..exists; 1 before the first EXISTS
         | {"random_range": 50}                    FIRST:LAST, this many consecutive messages in
                                                   1..exists; 1:exists where there are fewer, 1:1
                                                   before the first EXISTS
         | {"counter": true}                       1, 2, 3 ... on each connection
         | {"connection": true}                    number of the connection, from 0
         | {"message": "literal+"}                 one of `messages` as a literal; "literal" waits
                                                   for "+"
         | {"data": true}                          lmtp, last part of a DATA command: after 354,
                                                   one of `messages`, dot-stuffed, and the final dot

With `lmtp`, the engine recognises LHLO, MAIL, RCPT, DATA and QUIT by their verb; DATA has one reply
for each accepted RCPT. The engine itself sends STARTTLS and, with `reconnect`, LOGOUT or QUIT.

Measurement
===========

First all connections are opened, logged in and set up (three attempts; one for a refused log-in).
Then all start together; after `warmup_seconds` the measured time starts. Answers in it are counted.
At its end nothing new is sent; commands in flight may complete within two seconds and are not
counted.

* The latency of a command is from just before the write of its first byte to just after the read of
  its last. The hold of an "idle" is not part of it.
* The latency of an entry is from the start of its first command (with `reconnect`: from connect) to
  the end of its last one. Where a command fails, the rest of its entry is not sent, and the entry
  counts as an error.
* `think_ms` is a uniformly distributed pause before an entry. Before the first entry of a
  connection it starts at zero, so that connections do not all start at once.
* With `rate`, entry k is due at k / rate (`constant`: the tool adds no bursts, so two runs
  can be compared) or at the k-th event of a Poisson process (`poisson`: independent users). The
  connection that has been free for longest sends it. Where none is free it waits in a backlog, and
  the latency of the entry and of its first command counts from the time it was due: a stall of the
  server is measured. `think_ms` is not used. While 1,000,000 entries wait on a
  thread, new ones are dropped, as the error "backlog full".
* A broken connection is opened again after 0.1 to 1.6 seconds, and logged in and set up again.

The report
==========

::

    seconds         the measured time; opened_seconds: time to open all connections
    connections     as planned; opened: number that were set up at the start
    totals          {"commands", "entries", "bytes_in", "bytes_out", "errors"} of the measured
                    time; bytes of the protocol, before TLS
    labels          {label: {"count", "errors", "bytes_in", "histogram": [[us, count], ...]}}
                    count and histogram exclude errors; with `reconnect` they include CONNECT,
                    log-in, set-up and LOGOUT
    entries         {name: {"count", "errors", "histogram"}}
    setup           as labels, for log-in and set-up at any time, with CONNECT: from connect to the
                    greeting, TLS included
    series          {"step_ms": 100, "commands": [...], "bytes_in": [...], "errors": [...],
                    "p99_us": [...]}, one number for each step of the measured time (p99 to two
                    digits, 0 without an answer); the last step may be short
    errors          {kind: {"count", "example"}} at any time; a kind is one of ERROR_KINDS
    unfinished      {"in_flight", "oldest_us", "backlog"} at the end of the measured time:
                    commands without an answer, age of the oldest, open-loop entries not started
    ended           "time", "limit", "stopped", or a text that starts with
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
    errors          {kind: count} at any time
"""

from typing import Final, final

ERROR_KINDS: Final[tuple[str, ...]]
"""All kinds of errors: of responses, of connections, of the tool. A fixed set, so that no server
can make the report grow."""

@final
class Load:
    """Load: connections that work through a plan.

    Deleting a running Load ends it.
    """

    def __new__(cls, plan: str) -> Load:
        """Read the plan and look up the host.

        Raises:
            ValueError: the plan is not JSON, or a field is missing, unknown or wrong; the message
                starts with the path of the field, as `mix[0].commands[1].parts[2]: ...`.
            OSError: the host name has no address.
        """
    def start(self) -> None:
        """Start the threads.

        The process needs a descriptor for each connection (RLIMIT_NOFILE); a connection without
        one is an error of the load.

        Raises:
            RuntimeError: started before.
            OSError: the system refused a thread or an epoll descriptor.
        """
    def snapshot(self) -> str:
        """Return the snapshot as JSON, see above. Takes microseconds; call it every 0.1 s or so."""
    def stop(self) -> None:
        """End the load early and keep what was measured. Return at once; may be called again."""
    def finish(self) -> str:
        """Wait for the end without the GIL, and return the report as JSON, see above.

        Signal handlers of Python do not run meanwhile: for Ctrl-C, call this when the phase of
        `snapshot` is "ended". May be called again.

        Raises:
            RuntimeError: not started, or a thread of the engine panicked (a bug).
        """

@final
class IdleLoad:
    """Connections that log in, are set up, stay in IDLE, and record EXISTS.

    The plan is that of Load, with an empty `mix`; seconds, limits, rate, pipeline and reconnect are
    not used and may be omitted. IDLE is sent again every 25 minutes (RFC 9051 section 6.3.13: at
    least every 29). A connection that breaks during IDLE is not opened again.
    """

    def __new__(cls, plan: str) -> IdleLoad:
        """Read the plan, as Load does."""
    def start(self) -> None:
        """Start the threads, as Load does."""
    def state(self) -> str:
        """Return the state as JSON.

        {"idling": n, "opening": n, "failed": n, "errors": {kind: [count, example]},
        "arrivals_dropped": n}. `failed` counts connections that could not be opened, or broke.
        The first three add up to the connections of the plan.
        """
    def arrivals(self) -> list[tuple[int, int, int]]:
        """Return and remove the arrivals since the last call, at most 4,000,000.

        Each: number of the connection from 0, CLOCK_MONOTONIC in nanoseconds just after the read
        (comparable with `time.monotonic_ns()` on Linux), and the number of EXISTS.
        In order of time for each connection, not between connections. Arrivals that do not fit are
        counted as `arrivals_dropped`.
        """
    def stop(self) -> None:
        """Close all connections, and wait for the threads to end."""

@final
class Responder:
    """Trivial compiled server to measure the engine itself.

    Listens on 127.0.0.1 from construction on, with one thread. Greets, and answers OK to every
    command. SELECT sends `* 1 EXISTS` first; FETCH and UID FETCH send one message with a literal of
    `literal` bytes (no message for 0); IDLE lasts until DONE; LOGOUT closes the connection.
    Literals of the client are read and dropped.
    """

    def __new__(cls, *, literal: int = 0) -> Responder:
        """Start the server.

        Raises:
            OSError: no port, descriptor or thread.
            ValueError: the literal is above 1 GiB.
        """
    @property
    def port(self) -> int: ...
    def stop(self) -> None:
        """Close all connections, and wait for the thread to end. May be called again."""
