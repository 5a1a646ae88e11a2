"""Work spread over forked processes: what they need to know is inherited, only results are sent.

`concurrent.futures` would do, but takes as long to import as 50 MB of log to read.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import select
import signal
import struct
from typing import TYPE_CHECKING, Any

from analyzer.batch.interrupt import whole
from analyzer.errors import MailwhyError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_LENGTH = struct.Struct("<q")
_MOST = 4_000  # bundles of tasks: their numbers must fit into a pipe


def spread(function: Callable[[Any], Any], tasks: Sequence[Any], jobs: int) -> Iterator[Any]:
    """What *function* makes of each of *tasks*, as it comes, from *jobs* processes: this one and others.  An exception in one of them is
    raised here.
    """
    step = -(-len(tasks) // _MOST)
    bundles = [tasks[at : at + step] for at in range(0, len(tasks), step)]
    todo, give = os.pipe()
    os.write(give, b"".join(map(_LENGTH.pack, range(len(bundles)))))
    os.close(give)
    workers: dict[int, int] = {}  # where a process writes: its id
    try:
        for _ in range(min(jobs, len(bundles)) - 1):
            with whole():
                source, sink = os.pipe()
                pid = os.fork()
                if pid == 0:
                    _work(function, bundles, todo, sink)
                os.close(sink)
                workers[source] = pid
        answers = _Answers(list(workers))
        expected = len(tasks)
        for bundle in _bundles(bundles, todo):
            for task in bundle:
                yield function(task)
                expected -= 1
            for answer in answers.come(wait=False):
                yield answer
                expected -= 1
        for answer in answers.come(wait=True):
            yield answer
            expected -= 1
        if expected:
            raise MailwhyError("a process that read the logs was ended from outside; is the memory short? (--jobs 1 needs the least)")
    finally:
        os.close(todo)
        for source, pid in workers.items():
            os.close(source)
            _end(pid)


def _bundles(bundles: Sequence[Sequence[Any]], todo: int) -> Iterator[Sequence[Any]]:
    """Those that no other process has taken."""
    while number := os.read(todo, _LENGTH.size):
        yield bundles[_LENGTH.unpack(number)[0]]


def _work(function: Callable[[Any], Any], bundles: Sequence[Sequence[Any]], todo: int, sink: int) -> None:
    """The life of a process: it takes bundles until none is left."""
    status = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent knows what to do
        os.set_blocking(sink, False)  # the parent works too: who waits for it does nothing
        left = bytearray()
        for bundle in _bundles(bundles, todo):
            for task in bundle:
                try:
                    answer = True, function(task)
                except Exception as error:  # noqa: BLE001  (raised again by the parent)
                    answer = False, error
                data = pickle.dumps(answer, pickle.HIGHEST_PROTOCOL)
                left += _LENGTH.pack(len(data)) + data
                _send(sink, left)
        os.set_blocking(sink, True)
        _send(sink, left)
        status = 0
    finally:
        os._exit(status)


def _send(sink: int, left: bytearray) -> None:
    """As much of what is *left* as is taken."""
    with contextlib.suppress(BlockingIOError):
        while left:
            del left[: os.write(sink, left)]


class _Answers:
    """What comes from other processes."""

    def __init__(self, sources: Sequence[int]) -> None:
        self._held = {source: bytearray() for source in sources}

    def come(self, *, wait: bool) -> Iterator[Any]:
        """What has come so far; or else all, until the last process ends."""
        while self._held:
            ready = select.select(list(self._held), [], [], None if wait else 0)[0]
            if not ready:
                return
            for source in ready:
                buffer = self._held[source]
                if not (data := os.read(source, 1 << 20)):
                    del self._held[source]
                    continue
                buffer += data
                while len(buffer) >= _LENGTH.size and len(buffer) >= (stop := _LENGTH.size + _LENGTH.unpack_from(buffer)[0]):
                    good, answer = pickle.loads(memoryview(buffer)[_LENGTH.size : stop].tobytes())  # noqa: S301  (our own child's)
                    del buffer[:stop]
                    if not good:
                        raise answer
                    yield answer


def _end(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)
    except (ProcessLookupError, ChildProcessError):
        pass
