"""``python -m ipcframe`` is the command ``ipcframe``."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
