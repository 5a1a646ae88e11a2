"""Batch as a whole program: progress, interruption, stores, clusters with a worker that dies."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import subprocess
import sys
import time
import zlib
from datetime import UTC

import msgspec
import pytest

from analyzer.batch import interrupt, scan, sources
from analyzer.batch.engines import Interrupted, Local
from analyzer.batch.run import Options, batch, tasks_of, years_of
from analyzer.render.batch_json import json_of
from analyzer.rulebook import load_rules
from tests.bench.generate import postfix

KEY = ((), ())


def report(paths, engine=None, **how):
    items, notes = sources.find([str(p) for p in paths])
    options = Options(zone=UTC, **how)
    return json_of(batch(items, notes, load_rules(()), options, engine or Local(options.jobs, KEY)))


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    path = tmp_path_factory.mktemp("log") / "mail.log"
    path.write_text("".join(postfix(400_000, 0.3, 3)))
    return path


def named(text, *names):
    """*text*, a report, with its sources' names taken out."""
    for name in names:
        text = text.replace(str(name), "LOG")
    return json.loads(text)


def test_stores_are_read_through_fsspec(log):
    fsspec = pytest.importorskip("fsspec")
    fsspec.filesystem("memory").pipe("/logs/mail.log", log.read_bytes())
    plain = named(report([log]), log)
    for url in ("memory://logs/mail.log", "memory://logs", "memory://logs/*.log", f"file://{log}"):
        found = named(report([url], block=65_536), "memory:///logs/mail.log", "memory://logs/mail.log", f"file://{log}")
        for one in (plain, found):
            one["sources"] = [{k: v for k, v in s.items() if k != "year"} for s in one["sources"]]
        assert found == plain, url


def test_progress_and_a_partial_report_when_interrupted(log, tmp_path):
    big = tmp_path / "mail.log"
    data = log.read_bytes()
    with big.open("wb") as file:
        for _ in range(400):
            file.write(data)
    for jobs in ("1", "2"):
        main, terminal = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "analyzer", "batch", "--jobs", jobs, str(big)], stdout=subprocess.PIPE, stderr=terminal, text=True
        )
        os.close(terminal)
        shown = b""
        while b"MB/s" not in shown or shown.count(b"\r") < 2:
            shown += os.read(main, 4096)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
        os.close(main)
        assert all(word in shown for word in (b"reading [", b" MB ", b"s left", b"failures")), shown
        assert process.returncode == 130, (jobs, out[:300])
        assert "(partial: interrupted)" in out.splitlines()[0]
        assert " 0 lines" not in out


@pytest.mark.parametrize("at", [1, 2, 50])
def test_an_interrupt_in_the_middle_of_a_sum_waits_for_its_end(log, monkeypatch, at):
    sums = 0

    def press_ctrl_c(data):
        nonlocal sums
        sums += 1
        if sums == at:
            signal.raise_signal(signal.SIGINT)
        return zlib.crc32(data)

    monkeypatch.setattr(scan, "crc32", press_ctrl_c)
    before = signal.getsignal(signal.SIGINT)
    try:
        interrupt.listen()
        engine = Local(1, KEY)
        items, _ = sources.find([str(log)])
        tasks = tasks_of(items, years_of(items), Options(zone=UTC, block=65_536))
        with pytest.raises(Interrupted) as found:
            engine.scan([msgspec.structs.replace(t, use_lanes=False) for t in tasks], None)
    finally:
        signal.signal(signal.SIGINT, before)
    tally = found.value.result
    assert 0 < tally.lines <= log.read_bytes().count(b"\n")
    assert sum(g.count for g in tally.groups.values()) >= at


def test_no_progress_where_nobody_looks(log):
    found = subprocess.run([sys.executable, "-m", "analyzer", "batch", str(log)], capture_output=True, text=True, check=False)
    assert found.stderr == ""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def test_a_real_cluster_gives_the_same_even_when_a_worker_dies(log):
    pytest.importorskip("distributed")
    from distributed import Client

    from analyzer.batch.engines import Dask

    plain = report([log], jobs=2)
    address = f"tcp://127.0.0.1:{free_port()}"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    dask = [sys.executable, "-m", "dask"]
    started = [
        subprocess.Popen([*dask, "scheduler", "--host", "127.0.0.1", "--port", address.rpartition(":")[2], "--no-dashboard"], **quiet)
    ]
    try:
        started += [
            subprocess.Popen([*dask, "worker", address, "--nthreads", "3", "--no-dashboard", "--no-nanny"], **quiet) for _ in range(2)
        ]
        with Client(address, timeout="30s") as client:
            client.wait_for_workers(2, timeout=60)
        engine = Dask(address, 2, KEY)
        seen = []

        def progress(_what, _size):
            def step(_bytes, _failures):
                seen.append(time.monotonic())
                if len(seen) == 3:
                    started[1].kill()

            return step

        items, notes = sources.find([str(log)])
        try:
            options = Options(zone=UTC, jobs=2, range=10_000)
            found = json_of(batch(items, notes, load_rules(()), options, engine, progress=progress))
        finally:
            engine.close()
        assert started[1].wait(10) == -signal.SIGKILL
        assert found == plain
    finally:
        for process in started:
            process.kill()
            process.wait()


def test_events_as_parquet(log, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    found = subprocess.run(
        [sys.executable, "-m", "analyzer", "batch", "--events", str(tmp_path / "e.parquet"), "--json", "-", str(log)],
        capture_output=True,
        text=True,
        check=False,
    )
    table = parquet.read_table(tmp_path / "e.parquet")
    assert {"host", "queue_id", "recipient", "sender", "status", "code", "first"} <= set(table.column_names)
    assert table.num_rows <= json.loads(found.stdout)["totals"]["failures"]
