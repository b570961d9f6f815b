"""`python -m imapvm_bench`: the same as `imapvm-bench`."""

import sys

from imapvm_bench.cli import main

if __name__ == "__main__":
    sys.exit(main())
