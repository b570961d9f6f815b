"""Every bound in one place: what a peer can make grow, and how far.

Octets unless the name says otherwise. Each has a test at the limit and one past it, which bear
`@pytest.mark.at_limit("NAME")` and `@pytest.mark.past_limit("NAME")` (one test may bear both);
`tests/architecture/test_limits.py` counts them.
"""

from typing import Final

MESSAGE_MAX: Final = 64 * 1024 * 1024
"""One message, by APPEND, LMTP or the spool; APPENDLIMIT tells clients."""

LINE_BEFORE_LOGIN_MAX: Final = 8 * 1024
LITERAL_BEFORE_LOGIN_MAX: Final = 1024
"""Names, passwords and SASL responses are short; a stranger gets no more room than that."""

MAILBOX_NAME_MAX: Final = 255
"""UTF-8 octets of a whole name: fits an LMDB key beside its prefix, and a file name in a backup."""
MAILBOX_DEPTH_MAX: Final = 32
"""Levels of hierarchy in one name."""
KEYWORD_MAX: Final = 100
"""Octets of one keyword."""
KEYWORDS_PER_MESSAGE_MAX: Final = 64
MULTIAPPEND_MAX: Final = 1000
"""Messages of one APPEND: they are kept in one transaction."""
