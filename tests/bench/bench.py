"""Benchmarks against the standard library, as paired ratios: ``python tests/bench/bench.py``.

Spawned children import this module: it loads nothing but for the one who started it.
"""

import sys

if __name__ == "__main__":
    from report import main

    sys.exit(main())
