"""`imapvm filepool`: create, check and sweep. Check and sweep also work while the server runs."""

import argparse
import dataclasses
import json

from imapvm.ops.arguments import Verbs, add_filepool_options, filepool_path
from imapvm.ops.errors import CORRUPT


def add_to(verbs: Verbs) -> None:
    """Declare the verbs."""
    text = "create, check and sweep the filepool"
    family = verbs.add_parser("filepool", help=text, description=text.capitalize() + ".")
    inner = family.add_subparsers(title="verbs", metavar="VERB", required=True)

    create = inner.add_parser(
        "create",
        help="create an empty filepool",
        description="Create an empty filepool: a directory with mode 0700.",
    )
    add_filepool_options(create)
    create.add_argument(
        "--groups",
        type=int,
        default=1,
        metavar="N",
        help="number of storage groups; cannot be changed later (default: %(default)s)",
    )
    create.set_defaults(run=_create)

    check = inner.add_parser(
        "check",
        help="verify the stored data",
        description="Verify all invariants of the stored data; the server may be running. Exit"
        f" code {CORRUPT}: corrupt data was found and not repaired.",
    )
    add_filepool_options(check)
    check.add_argument(
        "--repair",
        action="store_true",
        help="rebuild derived data (counters, usage, references, metadata) from the messages",
    )
    check.add_argument("--json", action="store_true", help="print a JSON object")
    check.set_defaults(run=_check)

    sweep = inner.add_parser(
        "sweep",
        help="remove unreferenced data",
        description="Remove message bodies that have been unreferenced for an hour, and old"
        " journal entries. The server does this periodically.",
    )
    add_filepool_options(sweep)
    sweep.set_defaults(run=_sweep)


def _create(arguments: argparse.Namespace) -> int:
    path = filepool_path(arguments)

    from imapvm.filepool.pool import create_filepool
    from imapvm.ops.audit import record

    create_filepool(path, groups=arguments.groups)
    record("filepool created", path, groups=arguments.groups)
    print(f"created filepool {path}")
    return 0


def _check(arguments: argparse.Namespace) -> int:
    path = filepool_path(arguments)

    import trio

    from imapvm.filepool.pool import open_filepool
    from imapvm.ops.audit import record

    async def check() -> int:
        async with open_filepool(path) as pool:
            report = pool.check(repair=arguments.repair)
        if arguments.repair:
            record("filepool repaired", path, errors=len(report.findings))
        if arguments.json:
            print(json.dumps(dataclasses.asdict(report), ensure_ascii=False, indent=2))
        else:
            for finding in report.findings:
                print(finding)
            count = len(report.findings)
            print(
                f"{count} {'error' if count == 1 else 'errors'} in {report.accounts} accounts,"
                f" {report.mailboxes} mailboxes, {report.messages} messages, {report.bodies} bodies"
            )
            if report.outdated:
                print(_outdated(report.outdated, repaired=arguments.repair))
        return 0 if all(finding.repaired for finding in report.findings) else CORRUPT

    return trio.run(check)


def _outdated(count: int, *, repaired: bool) -> str:
    what = f"metadata of an older version in {count} {'body' if count == 1 else 'bodies'}"
    return f"{what}: {'made again' if repaired else 'valid; --repair makes it again'}"


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
