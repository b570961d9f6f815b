"""`python -m imapvm` is `imapvm`."""

import sys

from imapvm.ops.cli import main

sys.exit(main())
