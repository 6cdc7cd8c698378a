"""`python -m tests.faults`, which `./dev faults` calls."""

import sys

from tests.faults.program import main

if __name__ == "__main__":
    sys.exit(main())
