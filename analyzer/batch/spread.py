"""Work spread over forked processes: what they need to know is inherited, only results are sent.

`concurrent.futures` would do, but takes as long to import as 50 MB of log to read.
"""

from __future__ import annotations

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


def spread(function: Callable[[Any], Any], tasks: Sequence[Any], jobs: int, meanwhile: Callable[[], object] | None = None) -> Iterator[Any]:
    """What *function* makes of each of *tasks*, as it comes, from *jobs* processes.  An exception in one of them is raised here.

    *meanwhile*: what is done here before the first answer is waited for.
    """
    step = -(-len(tasks) // _MOST)
    bundles = [tasks[at : at + step] for at in range(0, len(tasks), step)]
    todo, give = os.pipe()
    os.write(give, b"".join(map(_LENGTH.pack, range(len(bundles)))))
    os.close(give)
    workers: dict[int, int] = {}  # where a process writes: its id
    try:
        for _ in range(min(jobs, len(bundles))):
            with whole():
                source, sink = os.pipe()
                pid = os.fork()
                if pid == 0:
                    _work(function, bundles, todo, sink)
                os.close(sink)
                workers[source] = pid
        if meanwhile is not None:
            meanwhile()
        yield from _results(workers, len(tasks))
    finally:
        os.close(todo)
        for source, pid in workers.items():
            os.close(source)
            _end(pid)


def _work(function: Callable[[Any], Any], bundles: Sequence[Sequence[Any]], todo: int, sink: int) -> None:
    """The life of a process: it takes bundles until none is left."""
    status = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent knows what to do
        while number := os.read(todo, _LENGTH.size):
            for task in bundles[_LENGTH.unpack(number)[0]]:
                try:
                    answer = True, function(task)
                except Exception as error:  # noqa: BLE001  (raised again by the parent)
                    answer = False, error
                _send(sink, pickle.dumps(answer, pickle.HIGHEST_PROTOCOL))
        status = 0
    finally:
        os._exit(status)


def _send(sink: int, data: bytes) -> None:
    left = memoryview(_LENGTH.pack(len(data)) + data)
    while left:
        left = left[os.write(sink, left) :]


def _results(workers: dict[int, int], expected: int) -> Iterator[Any]:
    held = {source: bytearray() for source in workers}
    while held:
        for source in select.select(list(held), [], [])[0]:
            data = os.read(source, 1 << 20)
            if not data:
                del held[source]
                continue
            buffer = held[source]
            buffer += data
            while len(buffer) >= _LENGTH.size and len(buffer) >= (stop := _LENGTH.size + _LENGTH.unpack_from(buffer)[0]):
                good, answer = pickle.loads(memoryview(buffer)[_LENGTH.size : stop].tobytes())  # noqa: S301  (our own child's)
                del buffer[:stop]
                if not good:
                    raise answer
                expected -= 1
                yield answer
    if expected:
        raise MailwhyError("a process that read the logs was ended from outside; is the memory short? (--jobs 1 needs the least)")


def _end(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)
    except (ProcessLookupError, ChildProcessError):
        pass
