"""`python -m tests.lab` is `python tests/lab/run.py`."""

from .run import main

raise SystemExit(main())
