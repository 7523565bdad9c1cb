"""``python -m onions``: the command line without its entry point."""

import sys

from onions.cli import main

sys.exit(main())
