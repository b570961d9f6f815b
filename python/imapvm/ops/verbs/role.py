"""The verb by which a master starts its processes. Nobody else has a use for it: help hides it."""

import argparse


def add_to(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the verb. Without `help` it is not listed."""
    role = verbs.add_parser("role", description="Started by `imapvm serve` alone.")
    role.add_argument("name", help="for who looks at the list of processes")
    role.add_argument("spawn_config", type=int, help="a descriptor that was handed over")
    role.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Be one process of a server."""
    from imapvm.ops import logs
    from imapvm.server.supervisor.role_process import serve_role
    from imapvm.server.supervisor.spawn_config import read

    spawn_config = read(arguments.spawn_config)
    settings = spawn_config.settings
    logs.configure(
        style=settings.log_format,
        level=settings.log_level,
        role=spawn_config.name,
    )
    serve_role(spawn_config)
    return 0
