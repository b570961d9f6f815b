"""Owners of files, in messages for the operator."""

import os
import pwd
from pathlib import Path


def user_name(uid: int) -> str:
    """Return the name of a user of the system, or the number of one without a name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def wrong_owner(action: str, path: Path, part: Path) -> str:
    """Return the message for a directory with a part that belongs to another user.

    It has the command that mends it: root has to run imapvm as the owner of the directory; every
    other user needs another owner.

    Args:
        action: that is refused, such as `open` or `use spool`.
        path: the directory as a whole.
        part: the directory or a file in it.
    """
    user, owner = user_name(os.geteuid()), user_name(part.lstat().st_uid)
    subject = "it" if part == path else str(part)
    message = f"cannot {action} {path} as user {user}: {subject} belongs to user {owner}"
    if os.geteuid() == 0 and part == path:
        return f"{message}; run imapvm as that user: runuser -u {owner} -- imapvm"
    return f"{message}; to change the owner, as root: chown -R {user}: {path}"
