"""Rule files -> `RuleBook`: every mistake with its place, none stops the others from being told."""

from __future__ import annotations

import difflib
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import msgspec

from analyzer.expressions import re
from analyzer.model import rule as m
from analyzer.model.case import THINGS
from analyzer.rulebook.index import index_of
from analyzer.rulebook.literals import literals_of
from analyzer.rulebook.matchers import BadCondition, fields, words
from analyzer.rulebook.source import Document, documents

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from analyzer.model.place import Mistake

RULE_KEYS = (
    "rule",
    "title",
    "about",
    "when",
    "with",
    "unless",
    "refines",
    "suggests",
    "against",
    "raises",
    "names",
    "establishes",
    "harmless",
    "aside",
    "because",
    "asks",
    "refs",
    "status",
    "formerly",
    "examples",
)
_REQUIRED = ("rule", "title", "about", "when", "examples")
_PATTERN_KEYS = (
    "id",
    "says",
    "matches",
    "when",
    "suggests",
    "against",
    "tier",
    "example",
    "steps",
    "refs",
    "note",
    "title",
    "harmless",
    "wordless",
)
_DIALECT_KEYS = ("dialect", "title", "tier", "patterns", "refs", "about")
_FAULT_KEYS = ("fault", "title", "kind", "severity", "fixed_by", "summary", "steps", "verify", "message", "refs", "lasting")
_LASTING_KEYS = ("hours", "title", "severity", "fixed_by", "summary")
_CAPTURE_KEYS = ("capture", "title", "yields", "ask", "where", "tells", "refs")
_ADJUST_KEYS = ("adjust", "off", "suggests", "against", "unless", "reason", "since")
_TIERS = {"provider": 0, "software": 1, "common": 2, "code": 3}
_KINDS = ("cause", "echo", "consequence")
_SEVERITIES = ("critical", "high", "medium", "low")
_WHO = ("sender", "receiver", "dns", "network", "user", "local", "nobody")
_NAMES = (
    "client_ip",
    "client_name",
    "domain",
    "helo",
    "mail_from",
    "port",
    "rcpt_to",
    "selector",
    "sender_domain",
    "server",
    "server_ip",
    "text",
    "zone",
)
_VALUE = re.compile(r"[a-z_][a-z0-9_]*(?:\.[a-z_][a-z0-9_]*)?")
MOST_BELIEF = 0.97


class _Collector:
    def __init__(self) -> None:
        self.rules: dict[str, m.Rule] = {}
        self.faults: dict[str, m.Fault] = {}
        self.captures: dict[str, m.CaptureHint] = {}
        self.providers: list[tuple[str, tuple[str, ...]]] = []
        self.adjusted: list[tuple[Document, dict[str, Any]]] = []
        self.mistakes: list[Mistake] = []
        self.said: list[tuple[Document, tuple[str | int, ...], str]] = []  # fault slugs used, to be checked


def compile_rules(texts: Iterable[tuple[str, str]]) -> tuple[m.RuleBook, list[Mistake]]:
    """A `RuleBook` of ``(path, text)`` pairs, and every mistake in them, in order."""
    c = _Collector()
    digest = blake2b(digest_size=6)
    for path, text in texts:
        digest.update(text.encode())
        found, mistakes = documents(path, text)
        c.mistakes += mistakes
        for document in found:
            _document(document, c)
    for document, at, slug in c.said:
        if slug not in c.faults:
            c.mistakes.append(document.mistake(at, f"no fault `{slug}`", near(slug, c.faults)))
    rules = _adjust(c)
    book = m.RuleBook(
        rules=tuple(rules.values()),
        faults=c.faults,
        index=index_of(tuple(rules.values())),
        captures=tuple(c.captures.values()),
        providers=tuple(c.providers),
        adjusted=tuple(
            m.Adjustment(str(v["adjust"]), str(v.get("reason", "")), str(v.get("since", "")), bool(v.get("off")), d.path)
            for d, v in c.adjusted
        ),
        version=digest.hexdigest(),
    )
    return book, c.mistakes


def near(word: str, known: Iterable[str]) -> str | None:
    """The known word most like *word*, if any is."""
    close = difflib.get_close_matches(word, [str(k) for k in known], 1)
    return close[0] if close else None


def _document(d: Document, c: _Collector) -> None:
    value = d.value
    items = value if isinstance(value, list) else [value]
    for index, item in enumerate(items):
        at: tuple[str | int, ...] = (index,) if isinstance(value, list) else ()
        if not isinstance(item, dict):
            c.mistakes.append(d.mistake(at, "a mapping is wanted"))
            continue
        for key, read in _READERS.items():
            if key in item:
                read(d, at, item, c)
                break
        else:
            if "/reference/" not in d.path:
                c.mistakes.append(d.mistake(at, f"one of {', '.join(_READERS)} is wanted"))


def _known_keys(d: Document, at: tuple[str | int, ...], item: dict[str, Any], known: tuple[str, ...], c: _Collector) -> None:
    for key in item:
        if key not in known:
            c.mistakes.append(d.mistake((*at, key), f"unknown key `{key}`", near(str(key), known)))


def _shares(d: Document, at: tuple[str | int, ...], value: Any, c: _Collector, most: float = MOST_BELIEF) -> dict[str, float]:
    if not isinstance(value, dict):
        c.mistakes.append(d.mistake(at, "a mapping of faults and shares is wanted"))
        return {}
    shares: dict[str, float] = {}
    for slug, share in value.items():
        c.said.append((d, (*at, slug), str(slug)))
        if not isinstance(share, int | float) or isinstance(share, bool) or not 0 < share <= most:
            c.mistakes.append(d.mistake((*at, slug), f"a share is a number above 0 and at most {most}, not `{share}`"))
        else:
            shares[str(slug)] = float(share)
    if sum(shares.values()) > most + 1e-9:
        c.mistakes.append(d.mistake(at, f"the shares add up to {sum(shares.values()):.2f}, over {most}"))
    return shares


@lru_cache
def _field_names(thing: str) -> frozenset[str]:
    return frozenset(f.encode_name for f in msgspec.structs.fields(THINGS[thing][1]))


def _check_fields(d: Document, at: tuple[str | int, ...], condition: m.Fields, thing: str, c: _Collector) -> None:
    known = _field_names(thing)
    for name, inner in condition.fields:
        if name and name not in known:
            c.mistakes.append(d.mistake((*at, name), f"a {thing} has no field `{name}`", near(name, known)))
        if not name:
            for part in _parts(inner):
                _check_fields(d, at, part, thing, c)


def _parts(inner: m.AnyMatcher) -> list[m.Fields]:
    if isinstance(inner, m.Not) and isinstance(inner.inner, m.Fields):
        return [inner.inner]
    if isinstance(inner, m.OneOf):
        return [p for p in inner.of if isinstance(p, m.Fields)]
    return []


def _joins(d: Document, at: tuple[str | int, ...], value: Any, c: _Collector) -> tuple[m.Join, ...]:
    found = []
    if not isinstance(value, dict):
        c.mistakes.append(d.mistake(at, "a mapping of names and things is wanted"))
        return ()
    for name, inner in value.items():
        here = (*at, name)
        if not isinstance(inner, dict) or len(inner) != 1 or next(iter(inner)) not in THINGS:
            c.mistakes.append(d.mistake(here, f"one thing is wanted: {', '.join(THINGS)}"))
            continue
        ((thing, condition),) = inner.items()
        try:
            found.append(m.Join(str(name), thing, fields(condition, (*here, thing))))
            _check_fields(d, (*here, thing), found[-1].when, thing, c)
        except BadCondition as error:
            c.mistakes.append(d.mistake(error.path, str(error)))
    return tuple(found)


def _rule(d: Document, at: tuple[str | int, ...], item: dict[str, Any], c: _Collector) -> None:
    _known_keys(d, at, item, RULE_KEYS, c)
    missing = [k for k in _REQUIRED if k not in item]
    if missing:
        c.mistakes.append(d.mistake(at, f"missing: {', '.join(missing)}"))
        return
    about = str(item["about"])
    if about not in THINGS:
        c.mistakes.append(d.mistake((*at, "about"), f"no thing `{about}`", near(about, THINGS)))
        return
    try:
        when = fields(item["when"], (*at, "when"))
    except BadCondition as error:
        c.mistakes.append(d.mistake(error.path, str(error)))
        return
    _check_fields(d, (*at, "when"), when, about, c)
    name = str(item["rule"])
    if name in c.rules:
        c.mistakes.append(d.mistake((*at, "rule"), f"there is a rule `{name}` already, in {c.rules[name].path}"))
        return
    unless = item.get("unless") or {}
    is_join = isinstance(unless, dict) and all(isinstance(v, dict) and len(v) == 1 and next(iter(v)) in THINGS for v in unless.values())
    unless_when = None
    if not is_join:
        try:
            unless_when = fields(unless, (*at, "unless"))
            _check_fields(d, (*at, "unless"), unless_when, about, c)
        except BadCondition as error:
            c.mistakes.append(d.mistake(error.path, str(error)))
    c.rules[name] = m.Rule(
        rule=name,
        title=str(item["title"]),
        about=about,
        when=when,
        path=d.path,
        line=d.marks.get(at, (1, 1))[0],
        with_=_joins(d, (*at, "with"), item.get("with", {}), c),
        unless=_joins(d, (*at, "unless"), unless, c) if is_join else (),
        unless_when=unless_when,
        refines=words(item.get("refines", [])),
        suggests=_shares(d, (*at, "suggests"), item.get("suggests", {}), c),
        against=_shares(d, (*at, "against"), item.get("against") or {}, c),
        raises=item.get("raises"),
        names=_names(d, (*at, "names"), item.get("names", {}), c),
        establishes=item.get("establishes"),
        harmless=bool(item.get("harmless")),
        aside=bool(item.get("aside")),
        because=str(item.get("because", "")).strip(),
        asks=words(item.get("asks", [])),
        refs=words(item.get("refs", [])),
        status=item.get("status"),
        formerly=words(item.get("formerly", [])),
        examples=_examples(d, at, item["examples"], c),
    )


def _names(d: Document, at: tuple[str | int, ...], value: Any, c: _Collector) -> dict[str, str]:
    """Which values of the finding the names in a fault's texts stand for."""
    for name, path in value.items() if isinstance(value, dict) else ():
        if name not in _NAMES:
            c.mistakes.append(d.mistake((*at, name), f"no text of a fault uses the name {name!r}", near(str(name), _NAMES)))
        elif not isinstance(path, str) or not _VALUE.fullmatch(path):
            c.mistakes.append(d.mistake((*at, name), "a name stands for a value of the finding, such as of or mx.of"))
    if not isinstance(value, dict):
        c.mistakes.append(d.mistake(at, "names: is a mapping such as {domain: mx.of, server: of}"))
        return {}
    return {str(k): str(v) for k, v in value.items()}


def _examples(d: Document, at: tuple[str | int, ...], value: Any, c: _Collector) -> tuple[m.Example, ...]:
    found = []
    for index, item in enumerate(value if isinstance(value, list) else []):
        answers = [a for a in ("yes", "no", "unknown") if isinstance(item, dict) and a in item]
        if len(answers) != 1:
            c.mistakes.append(d.mistake((*at, "examples", index), "an example is one of yes:, no:, unknown:"))
            continue
        for text in words(item[answers[0]]):
            found.append(m.Example(answers[0], text, tuple(item.get("lines", ())), str(item.get("why", "")), bool(item.get("todo"))))
    return tuple(found)


def _dialect(d: Document, at: tuple[str | int, ...], item: dict[str, Any], c: _Collector) -> None:
    _known_keys(d, at, item, _DIALECT_KEYS, c)
    dialect = str(item["dialect"])
    for index, pattern in enumerate(item.get("patterns") or []):
        here = (*at, "patterns", index)
        if not isinstance(pattern, dict) or "id" not in pattern:
            c.mistakes.append(d.mistake(here, "a pattern needs an id"))
            continue
        _known_keys(d, here, pattern, _PATTERN_KEYS, c)
        rule = _pattern(d, here, pattern, dialect, str(pattern.get("tier", item.get("tier", "common"))), index, c)
        if rule is None:
            continue
        if rule.rule in c.rules:
            c.mistakes.append(d.mistake((*here, "id"), f"there is a rule `{rule.rule}` already"))
        else:
            c.rules[rule.rule] = rule


def _pattern(
    d: Document, at: tuple[str | int, ...], item: dict[str, Any], dialect: str, tier: str, order: int, c: _Collector
) -> m.Rule | None:
    if tier not in _TIERS:
        c.mistakes.append(d.mistake(at, f"no tier `{tier}`", near(tier, _TIERS)))
        return None
    conditions = dict(item.get("when") or {})
    literals: tuple[str, ...] = ()
    found: list[tuple[str, m.AnyMatcher]] = []
    try:
        found += fields(conditions, (*at, "when")).fields
        if "says" in item:
            literals = tuple(w.lower() for w in words(item["says"]))
            says = tuple(m.Text("has", w) for w in literals)
            found.append(("text", says[0] if len(says) == 1 else m.OneOf(says)))
        if "matches" in item:
            found.append(("text", fields({"text": {"matches": item["matches"]}}, (*at, "matches")).fields[0][1]))
            literals = literals or literals_of(str(item["matches"]))
    except BadCondition as error:
        c.mistakes.append(d.mistake(error.path, str(error)))
        return None
    if not found:
        c.mistakes.append(d.mistake(at, "a pattern needs says:, matches: or when:"))
        return None
    when = m.Fields(tuple(found))
    _check_fields(d, (*at, "when"), when, "problem", c)
    example = item.get("example")
    return m.Rule(
        rule=f"{dialect}/{item['id']}",
        title=str(item.get("title") or f"A reply in the words of {dialect}: {str(item['id']).replace('-', ' ')}"),
        about="problem",
        when=when,
        path=d.path,
        line=d.marks.get(at, (1, 1))[0],
        suggests=_shares(d, (*at, "suggests"), item.get("suggests", {}), c),
        against=_shares(d, (*at, "against"), item.get("against") or {}, c),
        because="",
        refs=words(item.get("refs", [])),
        harmless=bool(item.get("harmless")),
        examples=tuple(m.Example("reply", text) for text in words(example)) if example else (),
        tier=_TIERS[tier],
        order=order,
        dialect=dialect,
        literals=literals,
        wordless=bool(item.get("wordless")),
        steps=_step_list(item.get("steps")),
    )


def _step_list(value: Any) -> tuple[m.Step, ...]:
    """Steps as YAML writes them: a text is for everybody, a mapping names for whom."""
    return tuple(m.Step(str(s["do"]), words(s.get("for", []))) if isinstance(s, dict) else m.Step(str(s)) for s in value or ())


def _known_words(d: Document, at: tuple[str | int, ...], item: dict[str, Any], c: _Collector) -> None:
    for key, known in (("kind", _KINDS), ("severity", _SEVERITIES), ("fixed_by", _WHO)):
        if key in item and item[key] not in known:
            c.mistakes.append(d.mistake((*at, key), f"`{item[key]}` is none of {', '.join(known)}", near(str(item[key]), known)))


def _fault(d: Document, at: tuple[str | int, ...], item: dict[str, Any], c: _Collector) -> None:
    _known_keys(d, at, item, _FAULT_KEYS, c)
    missing = [k for k in ("title", "kind", "severity", "fixed_by", "summary", "steps") if k not in item]
    if missing:
        c.mistakes.append(d.mistake(at, f"missing: {', '.join(missing)}"))
        return
    lasting = item.get("lasting") or {}
    _known_words(d, at, item, c)
    _known_keys(d, (*at, "lasting"), lasting, _LASTING_KEYS, c)
    _known_words(d, (*at, "lasting"), lasting, c)
    if lasting and not isinstance(lasting.get("hours"), int | float):
        c.mistakes.append(d.mistake((*at, "lasting"), "`hours` wants a number"))
        return
    steps = _step_list(item["steps"])
    slug = str(item["fault"])
    if slug in c.faults:
        c.mistakes.append(d.mistake((*at, "fault"), f"there is a fault `{slug}` already"))
        return
    fault = m.Fault(
        fault=slug,
        title=str(item["title"]).strip().rstrip("."),
        kind=str(item["kind"]),
        severity=str(item["severity"]),
        fixed_by=str(item["fixed_by"]),
        summary=str(item["summary"]).strip(),
        steps=steps,
        verify=str(item.get("verify", "")).strip(),
        message=item["message"].strip() if item.get("message") else None,
        refs=words(item.get("refs", [])),
        area=d.path.rpartition("/")[2].removesuffix(".yaml"),
    )
    if lasting:
        told = {key: str(value).strip() for key, value in lasting.items() if key in _LASTING_KEYS[1:]}
        fault = msgspec.structs.replace(fault, after=float(lasting["hours"]), later=msgspec.structs.replace(fault, **told))
    c.faults[slug] = fault


def _capture(d: Document, at: tuple[str | int, ...], item: dict[str, Any], c: _Collector) -> None:
    _known_keys(d, at, item, _CAPTURE_KEYS, c)
    missing = [k for k in ("yields", "ask", "where", "tells") if k not in item]
    if missing:
        c.mistakes.append(d.mistake(at, f"missing: {', '.join(missing)}"))
        return
    yields = {str(k): {str(a): b for a, b in (v or {}).items()} if isinstance(v, dict) else {} for k, v in item["yields"].items()}
    c.captures[str(item["capture"])] = m.CaptureHint(
        str(item["capture"]),
        yields,
        str(item["ask"]).strip(),
        str(item["where"]).strip(),
        str(item["tells"]).strip(),
        words(item.get("refs", [])),
    )


def _provider(_d: Document, _at: tuple[str | int, ...], item: dict[str, Any], c: _Collector) -> None:
    c.providers.append((str(item["provider"]), tuple(n.lower().strip(".") for n in words(item.get("names", [])))))


def _adjustment(d: Document, at: tuple[str | int, ...], item: dict[str, Any], c: _Collector) -> None:
    _known_keys(d, at, item, _ADJUST_KEYS, c)
    missing = [k for k in ("reason", "since") if not item.get(k)]
    if missing:
        c.mistakes.append(d.mistake(at, f"an adjustment needs {' and '.join(missing)}"))
    else:
        c.adjusted.append((d, item))


def _adjust(c: _Collector) -> dict[str, m.Rule]:
    rules = dict(c.rules)
    for d, item in c.adjusted:
        name = str(item["adjust"])
        if name not in rules:
            c.mistakes.append(d.mistake(("adjust",), f"no rule `{name}`", near(name, rules)))
            continue
        if item.get("off"):
            del rules[name]
            continue
        rule = rules[name]
        if "suggests" in item:
            rule = msgspec.structs.replace(rule, suggests=_shares(d, ("suggests",), item["suggests"], c))
        if "against" in item:
            rule = msgspec.structs.replace(rule, against=_shares(d, ("against",), item["against"], c))
        if "unless" in item:
            rule = msgspec.structs.replace(rule, unless_when=fields(item["unless"], ("unless",)))
        rules[name] = rule
    for rule in rules.values():
        for other in rule.refines:
            if other not in c.rules and other != "reply":
                document = Document(rule.path, None, {(): (rule.line, 1)})
                c.mistakes.append(document.mistake((), f"refines `{other}`, which is no rule", near(other, c.rules)))
    return rules


_READERS: dict[str, Callable[[Document, tuple[str | int, ...], dict[str, Any], _Collector], None]] = {
    "rule": _rule,
    "dialect": _dialect,
    "fault": _fault,
    "capture": _capture,
    "provider": _provider,
    "adjust": _adjustment,
}
