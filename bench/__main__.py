"""All the numbers, one after the other: `python -m bench [DIRECTORY]` writes them as JSON there."""

import subprocess
import sys
from pathlib import Path

RUNS = (
    ("bench.compare", "compare.json"),
    ("bench.idle_memory", "idle.json"),
    ("bench.idle_memory", "idle-tls.json", "--tls", "--sessions", "2000"),
)


def main() -> None:
    results = Path(sys.argv[1] if len(sys.argv) > 1 else "var/bench")
    results.mkdir(parents=True, exist_ok=True)
    for module, name, *options in RUNS:
        print(f"\n=== {module} {' '.join(options)}", flush=True)
        command = [sys.executable, "-m", module, *options, "--json", str(results / name)]
        subprocess.run(command, check=True)
    print(f"\nwritten to {results}/")


if __name__ == "__main__":
    main()
