"""The command `backlit`. It stands outside of the package, so that Ctrl-C while that is imported ends in one line, too."""

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Load the command line and run it."""
    try:
        from backlit.cli import main as run
    except KeyboardInterrupt:
        print("backlit: interrupted.", file=sys.stderr)
        sys.exit(130)
    run()
