#!/usr/bin/env python3
"""Score pictures with Yahoo's open_nsfw network: the command. All of it is in open_nsfw/command.py, which Python keeps
compiled; a script it would compile at every start."""

import sys

from open_nsfw.command import main
from open_nsfw.options import parser

__all__ = ["main", "parser"]

if __name__ == "__main__":
    sys.exit(main())
