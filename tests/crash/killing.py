"""Replacement for the environment of a writer, whose commits kill the process."""

import os
import signal


class KillingEnvironment:
    """Environment that kills the process at its next commit.

    Args:
        env: the environment.
        where: `before-commit` or `after-commit`.
    """

    def __init__(self, env, where: str) -> None:
        assert where in {"before-commit", "after-commit"}
        self.env = env
        self.where = where

    def begin(self, *, write: bool):
        return KillingTransaction(self.env.begin(write=write), self.where)


class KillingTransaction:
    def __init__(self, txn, where: str) -> None:
        self.txn = txn
        self.where = where

    def __getattr__(self, name: str):
        return getattr(self.txn, name)

    def commit(self) -> None:
        if self.where == "after-commit":
            self.txn.commit()
        os.kill(os.getpid(), signal.SIGKILL)
