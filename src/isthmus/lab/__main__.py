"""The program `isthmus`."""

import sys

from isthmus.lab.cli import main

if __name__ == "__main__":
    sys.exit(main())
