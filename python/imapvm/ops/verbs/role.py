"""`imapvm role`: one process of a server, started by the master; not listed by `--help`."""

import argparse

from imapvm.ops.arguments import Verbs


def add_to(verbs: Verbs) -> None:
    """Declare the verb, without `help` so that it is not listed."""
    role = verbs.add_parser(
        "role", description="Run one process of a server. Used by 'imapvm serve' only."
    )
    role.add_argument("name", metavar="NAME", help="name in the process list")
    role.add_argument(
        "spawn_config", metavar="FD", type=int, help="inherited descriptor of the spawn config"
    )
    role.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run one process of a server until the master stops it."""
    from imapvm.ops import logs
    from imapvm.server.supervisor.role_process import serve_role
    from imapvm.server.supervisor.spawn_config import read

    spawn_config = read(arguments.spawn_config)
    settings = spawn_config.settings
    logs.configure(style=settings.log_format, level=settings.log_level, role=spawn_config.name)
    serve_role(spawn_config)
    return 0
