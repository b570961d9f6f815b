"""Run `imapvm-bench` as `python -m imapvm_bench`."""

import sys

from imapvm_bench.cli import main

if __name__ == "__main__":
    sys.exit(main())
