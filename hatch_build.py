"""What an installation compiles: analyzer/batch/sift.c where there is a C compiler (without one mailwhy does the same in Python, slower),
and grammars and rules, for which the first start would take half a minute else.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any
from zlib import crc32

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCE = Path("analyzer", "batch", "sift.c")
LIBRARY = SOURCE.with_name("sift.native")
KEPT = Path("analyzer", "_kept")  # `analyzer.cache.BROUGHT`


class Sift(BuildHookInterface):
    """Puts the compiled library beside its source, and into the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Before a wheel is built, or the folder installed as it is."""
        if self.target_name != "wheel":
            return
        if prepared(Path(self.root)):
            build_data["artifacts"].append(f"/{KEPT.as_posix()}/*")
        if compiled(Path(self.root)):
            build_data["artifacts"].append(f"/{LIBRARY.as_posix()}")
            build_data["pure_python"] = False
            # No part of it knows Python: one library serves all versions.
            build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"


def prepared(root: Path) -> bool:
    """Whether grammars and rules could be compiled."""
    path = os.pathsep.join(filter(None, (str(root.resolve()), os.environ.get("PYTHONPATH"))))
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "XDG_CACHE_HOME": cache}
        done = subprocess.run([sys.executable, "-m", "analyzer.prepare"], env=environment, check=False, capture_output=True, text=True)
    if done.returncode:
        sys.stderr.write(f"mailwhy: the first start will have to compile grammars and rules\n{done.stderr[-2000:]}")
        shutil.rmtree(root / KEPT, ignore_errors=True)
    return done.returncode == 0


def compiled(root: Path) -> bool:
    """Whether the library could be made."""
    (root / LIBRARY).unlink(missing_ok=True)
    compiler = next((c for c in (os.environ.get("CC", ""), "cc", "gcc", "clang") if c and shutil.which(shlex.split(c)[0])), None)
    if compiler is None or os.name == "nt":
        sys.stderr.write("mailwhy: no C compiler, so logs are read in Python alone\n")
        return False
    stamp = f"-DSIFT_STAMP={crc32((root / SOURCE).read_bytes())}u"
    options = ["-O3", "-fPIC", "-shared", "-std=gnu11", "-fvisibility=hidden", stamp]
    done = subprocess.run(
        [*shlex.split(compiler), *options, "-o", LIBRARY.as_posix(), SOURCE.as_posix()],
        cwd=root,
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        sys.stderr.write(f"mailwhy: {SOURCE} could not be compiled, so logs are read in Python alone\n{done.stderr}")
        (root / LIBRARY).unlink(missing_ok=True)
    return done.returncode == 0
