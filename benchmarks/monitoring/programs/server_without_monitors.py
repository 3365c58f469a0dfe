"""`noria server` that looks at no endpoint: what monitoring costs is told beside it."""

from __future__ import annotations

import sys

import noria.monitoring.control
import noria.monitoring.estimated.control
from noria.cli.main import main

noria.monitoring.control.CHORES.clear()
noria.monitoring.estimated.control.CHORES.clear()
sys.exit(main())
