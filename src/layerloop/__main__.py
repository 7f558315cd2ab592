"""`python -m layerloop` is the command."""

import sys

from layerloop.cli import main

sys.exit(main())
