"""`imapvm serve`: run the server."""

import argparse
from functools import partial
from pathlib import Path

from imapvm.ops.arguments import Verbs


def add_to(verbs: Verbs) -> None:
    """Declare the verb."""
    serve = verbs.add_parser(
        "serve",
        help="run the server until SIGTERM or SIGINT",
        description="Run the server in the foreground until SIGTERM or SIGINT. Log to standard"
        " error; notify systemd when ready. SIGHUP reloads certificate and key; with workers, the"
        " whole configuration.",
    )
    serve.add_argument(
        "--config",
        metavar="FILE",
        type=Path,
        required=True,
        help="configuration file; config/imapvm.toml describes every key",
    )
    serve.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Read the configuration and serve."""
    from imapvm.ops import logs
    from imapvm.ops.config.load import load_settings
    from imapvm.ops.serving.run import serve_until_stopped
    from imapvm.ops.serving.systemd import notify
    from imapvm.ops.serving.warnings import log_warnings

    settings = load_settings(arguments.config)
    logs.configure(style=settings.log_format, level=settings.log_level)
    log_warnings(settings)
    return serve_until_stopped(
        settings, lambda _: notify("READY=1"), partial(load_settings, arguments.config)
    )
