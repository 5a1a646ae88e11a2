"""`python -m tests.lab` is `python tests/lab/run.py`."""

from . import layers
from .run import main

layers.base()
raise SystemExit(main())
