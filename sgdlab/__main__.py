"""`python -m sgdlab` is the command `sgdlab`."""

import sys

from sgdlab.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
