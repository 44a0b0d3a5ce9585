"""``python -m persontrack_ros`` is ``persontrack``."""

import sys

from persontrack_ros.cli.__main__ import main

sys.exit(main())
