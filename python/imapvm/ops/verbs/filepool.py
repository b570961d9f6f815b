"""`imapvm filepool …`: create, check, sweep. The last two work while the server runs, too."""

import argparse
import dataclasses
import json

from imapvm.ops.errors import DAMAGED
from imapvm.ops.verbs.filepool_option import add_filepool_options, filepool_path


def add_to(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the verbs."""
    pool = verbs.add_parser("filepool", help="create, check and sweep the filepool")
    inner = pool.add_subparsers(title="verbs", metavar="VERB", required=True)

    create = inner.add_parser(
        "create",
        help="make an empty filepool",
        description="Make an empty filepool, mode 0700.",
    )
    add_filepool_options(create)
    create.add_argument(
        "--groups",
        type=int,
        default=1,
        metavar="N",
        help="storage groups; cannot be changed later (default: %(default)s)",
    )
    create.set_defaults(run=_create)

    check = inner.add_parser(
        "check",
        help="prove the invariants of what is stored",
        description="Prove the invariants of what is stored, also while the server runs. Exit code"
        f" {DAMAGED} means that something was found, and not repaired.",
    )
    add_filepool_options(check)
    check.add_argument(
        "--repair",
        action="store_true",
        help="derive again what can be derived from the messages: counters, usage, references",
    )
    check.add_argument("--json", action="store_true", help="as a JSON object")
    check.set_defaults(run=_check)

    sweep = inner.add_parser(
        "sweep",
        help="remove what nobody refers to any more",
        description="Remove the bodies of messages that nobody refers to any more and whose hour"
        " of grace is over, and what is old in the logs. The server does so by itself.",
    )
    add_filepool_options(sweep)
    sweep.set_defaults(run=_sweep)


def _create(arguments: argparse.Namespace) -> int:
    path = filepool_path(arguments)

    from imapvm.filepool.pool import create_filepool

    create_filepool(path, groups=arguments.groups)
    print(f"created {path}")
    return 0


def _check(arguments: argparse.Namespace) -> int:
    path = filepool_path(arguments)

    import trio

    from imapvm.filepool.pool import open_filepool

    async def check() -> int:
        async with open_filepool(path) as pool:
            report = pool.check(repair=arguments.repair)
        if arguments.json:
            print(json.dumps(dataclasses.asdict(report), ensure_ascii=False, indent=2))
        else:
            for finding in report.findings:
                print(finding)
            print(
                f"{len(report.findings)} found in {report.accounts} accounts,"
                f" {report.mailboxes} mailboxes, {report.messages} messages, {report.bodies} bodies"
            )
        return 0 if all(finding.repaired for finding in report.findings) else DAMAGED

    return trio.run(check)


def _sweep(arguments: argparse.Namespace) -> int:
    path = filepool_path(arguments)

    import trio

    from imapvm.filepool.pool import SweepReport, open_filepool

    async def sweep() -> None:
        total = SweepReport(more=True)
        async with open_filepool(path) as pool:
            while total.more:
                total += await pool.sweep()
        removed = dataclasses.asdict(total)
        del removed["more"]
        print(*(f"{name}: {count}" for name, count in removed.items()), sep="\n")

    trio.run(sweep)
    return 0
