"""Where the work is done: here, in processes, or on a Dask cluster.  All map the same functions over the same ranges."""

from __future__ import annotations

import os
from operator import itemgetter
from threading import get_ident
from typing import TYPE_CHECKING, Any

import msgspec

from analyzer.batch.interrupt import whole
from analyzer.batch.scan import Knowledge, scan
from analyzer.batch.tally import Group, Key, Tally, Task, merge
from analyzer.errors import MailwhyError, UnreadableInput

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from analyzer.batch.gather import Gathered, Sought
    from analyzer.batch.incidents import Judgement
    from analyzer.batch.trace import Searched
    from analyzer.model.rule import RuleBook

    Progress = Callable[[int, int], None]

_HERE: dict[tuple[Any, ...], Knowledge] = {}


class Interrupted(Exception):
    """The user has seen enough; *result* is what is known."""

    def __init__(self, result: Any) -> None:
        super().__init__("interrupted")
        self.result = result


def knowledge(rules: tuple[str, ...], grammars: tuple[str, ...]) -> Knowledge:
    """The knowledge of this thread, loaded once: what it learns of lines is no other's, as a worker of a cluster may have many."""
    key = get_ident(), rules, grammars
    if key not in _HERE:
        from analyzer.formats.load import load_formats
        from analyzer.rulebook import load_rules

        _HERE[key] = Knowledge(load_formats(grammars), load_rules(rules))
    return _HERE[key]


def _scan(task: Task, key: tuple[Any, ...]) -> Tally:
    return scan(task, knowledge(*key))


def _gather(task: Task, sought: Sought, key: tuple[Any, ...]) -> Gathered:
    from analyzer.batch.gather import gather

    return gather(task, sought, knowledge(*key))


def _add(total: Tally, part: Tally, progress: Progress | None) -> None:
    with whole():
        merge(total, part)
        if progress:
            progress(part.bytes, sum(g.count for g in part.groups.values()))


_FEW_SHAPES = 8  # of fewer, processes take longer to start than to judge


class Local:
    """This process, or *jobs* processes."""

    def __init__(self, jobs: int, key: tuple[Any, ...]) -> None:
        self.jobs, self.key = jobs if hasattr(os, "fork") else 1, key
        self.known = knowledge(*key)

    def scan(self, tasks: Sequence[Task], progress: Progress | None) -> Tally:
        """The sum over *tasks*.  Raises `Interrupted` with what is known."""
        total = Tally()
        try:
            if self.jobs < 2 or len(tasks) < 2:
                for task in tasks:
                    scan(task, self.known, progress, total)
            else:
                self._warm_up(tasks[0])
                for tally in self._spread(lambda task: scan(task, self.known), tasks):
                    _add(total, tally, progress)
        except KeyboardInterrupt:
            raise Interrupted(total) from None
        return total

    def _warm_up(self, task: Task) -> None:
        """Load what the first block needs, so that no process has to do that by itself."""
        if task.item.splits:
            scan(msgspec.structs.replace(task, end=task.start + task.size), self.known)

    def gather(self, tasks: Sequence[Task], sought: Sought, progress: Progress | None) -> Gathered:
        """The sum over *tasks*.  Raises `Interrupted` with what is known."""
        from analyzer.batch.gather import Gathered, gather, merge_gathered

        total = Gathered()
        try:
            if self.jobs < 2 or len(tasks) < 2:
                for task in tasks:
                    found = gather(task, sought, self.known, progress)
                    with whole():
                        merge_gathered(total, found)
            else:
                for found in self._spread(lambda task: gather(task, sought, self.known), tasks):
                    with whole():
                        merge_gathered(total, found)
        except KeyboardInterrupt:
            raise Interrupted(total) from None
        return total

    def grep(self, wanted: Sequence[tuple[Task, list[bytes]]]) -> list[Searched]:
        """What each range holds of its texts; ids that were learnt in one are looked for in those behind it."""
        from analyzer.batch.trace import grep

        if self.jobs < 2 or len(wanted) < 2:
            learnt: dict[bytes, None] = {}
            found = []
            for task, texts in wanted:
                found.append(grep(task, dict.fromkeys(texts) | learnt, self.known))
                learnt |= dict.fromkeys(found[-1].since)
            return found
        parts = self._spread(lambda n: (n, grep(wanted[n][0], wanted[n][1], self.known)), range(len(wanted)))
        return [part for _, part in sorted(parts, key=itemgetter(0))]

    def judge(self, chosen: dict[Key, Group], gathered: Gathered, book: RuleBook, hosts: Collection[bytes]) -> dict[Key, Judgement]:
        """What the rules say of each shape; *hosts* are those that delivered mail."""
        from analyzer.batch.incidents import judgements

        if self.jobs < 2 or len(chosen) < _FEW_SHAPES:
            return judgements(chosen, gathered, self.known.reader, book, hosts)
        found: dict[Key, Judgement] = {}
        keys = list(chosen)
        for part in self._spread(lambda k: judgements({k: chosen[k]}, gathered, self.known.reader, book, hosts), keys):
            found |= part
        return {k: found[k] for k in keys}

    def _spread(self, function: Callable[[Any], Any], tasks: Sequence[Any]) -> Iterator[Any]:
        """What *function* makes of each of *tasks*, in processes."""
        from analyzer.batch.spread import spread

        return spread(function, tasks, self.jobs)

    def close(self) -> None:
        """Nothing to close."""


class Dask:
    """A Dask cluster: the scheduler at *address*, or one of its own on this machine."""

    def __init__(self, address: str | None, jobs: int, key: tuple[Any, ...]) -> None:
        try:
            from distributed import Client, LocalCluster
        except ImportError:
            raise MailwhyError("--engine dask needs distributed (pip install 'mailwhy[cluster]')") from None
        self.key = key
        self.cluster = None
        if address:
            try:
                self.client = Client(address, timeout="10s")  # type: ignore[no-untyped-call]
            except OSError as error:
                raise UnreadableInput(f"{address}: {error}") from None
        else:
            self.cluster = LocalCluster(  # type: ignore[no-untyped-call]
                n_workers=jobs,
                threads_per_worker=1,
                processes=True,
                dashboard_address=None,
                scheduler_port=0,
                host="127.0.0.1",
            )
            self.client = Client(self.cluster)  # type: ignore[no-untyped-call]

    def scan(self, tasks: Sequence[Task], progress: Progress | None) -> Tally:
        """The sum over *tasks*.  Raises `Interrupted` with what is known."""
        total = Tally()
        try:
            for tally in self._results([self.client.submit(_scan, task, self.key, pure=False) for task in tasks]):
                _add(total, tally, progress)
        except KeyboardInterrupt:
            raise Interrupted(total) from None
        return total

    def gather(
        self,
        tasks: Sequence[Task],
        sought: Sought,
        progress: Progress | None,  # noqa: ARG002  (as `Local.gather`)
    ) -> Gathered:
        """The sum over *tasks*.  Raises `Interrupted` with what is known."""
        from analyzer.batch.gather import Gathered, merge_gathered

        total = Gathered()
        try:
            shared = self.client.scatter(sought, broadcast=True, hash=False)  # type: ignore[no-untyped-call]
            futures = [self.client.submit(_gather, task, shared, self.key, pure=False) for task in tasks]
            for found in self._results(futures):
                with whole():
                    merge_gathered(total, found)
        except KeyboardInterrupt:
            raise Interrupted(total) from None
        return total

    def judge(self, chosen: dict[Key, Group], gathered: Gathered, book: RuleBook, hosts: Collection[bytes]) -> dict[Key, Judgement]:
        """What the rules say of each shape; *hosts* are those that delivered mail."""
        from analyzer.batch.incidents import judgements

        return judgements(chosen, gathered, knowledge(*self.key).reader, book, hosts)

    def _results(self, futures: list[Any]) -> Iterator[Any]:
        from distributed import as_completed as completed

        for _, result in completed(futures, with_results=True):  # type: ignore[no-untyped-call]
            yield result

    def close(self) -> None:
        """Leave the cluster; end it where it is our own."""
        self.client.close()  # type: ignore[no-untyped-call]
        if self.cluster is not None:
            self.cluster.close()


def jobs_here() -> int:
    """As many as this process may use cores."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
