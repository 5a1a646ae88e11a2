"""What a process or a message was said to suffer from just before it failed."""

from __future__ import annotations

from analyzer.assemble.problems import complaints_of
from analyzer.model import events as ev
from analyzer.model.place import Place


def trouble(line: int, severity: str, text: str, queue_id: str | None = "A1", pid: str = "7") -> ev.Trouble:
    return ev.Trouble(place=Place(0, line), severity=severity, text=text, queue_id=queue_id, agent="sendmail", pid=pid)


def put_off(line: int, pid: str = "7") -> ev.Attempt:
    return ev.Attempt(place=Place(0, line), queue_id="A1", status="deferred", agent="sendmail", pid=pid)


def told(*events: ev.Event) -> list[str | None]:
    return [complaint.text for complaint in complaints_of(events).values()]


def test_a_remark_does_not_take_the_place_of_a_complaint() -> None:
    assert told(trouble(1, "error", "Cannot exec"), trouble(2, "info", "done"), put_off(3)) == ["Cannot exec"]


def test_a_remark_counts_where_nothing_graver_is_near() -> None:
    assert told(trouble(1, "info", "shutting down"), put_off(2)) == ["shutting down"]
    assert told(trouble(1, "error", "long ago"), trouble(40, "info", "just now"), put_off(41)) == ["just now"]


def test_what_is_said_of_the_message_comes_before_what_its_process_said_at_large() -> None:
    at_large = trouble(1, "warning", "alias database out of date", None, "8")
    assert told(at_large, trouble(2, "error", "Cannot exec", "A1", "9"), put_off(3, "8")) == ["Cannot exec"]
