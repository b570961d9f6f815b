"""Work in the search threads, of which a process has a few."""

from collections.abc import Callable, Iterable

import trio

from imapvm.commands.progress import Progress
from imapvm.commands.services import Services
from imapvm.model.stepping import suspend


async def run_in_threads(
    services: Services, jobs: Iterable[Callable[[], None]], progress: Progress | None = None
) -> None:
    """Run functions in the search threads; return when all have ended.

    Args:
        services: have the threads.
        jobs: the functions.
        progress: is reported meanwhile.

    Raises:
        Exception: the first that one of them raised.
    """
    await suspend()
    errors: list[Exception] = []

    async def run(job: Callable[[], None]) -> None:
        try:
            await trio.to_thread.run_sync(job, limiter=services.search_threads)
        except Exception as error:
            errors.append(error)

    async with trio.open_nursery() as reports:
        if progress is not None:
            reports.start_soon(progress.report_forever)
        async with trio.open_nursery() as nursery:
            for job in jobs:
                nursery.start_soon(run, job)
        reports.cancel_scope.cancel()
    if errors:
        raise errors[0]
