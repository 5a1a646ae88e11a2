"""Quoting that people and their programs put around a capture: reply marks, fences, HTML, line numbers, hard wraps.

Each step says whether it applies to the capture as a whole, and then works on its lines; line numbers stay the user's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from analyzer.expressions import re
from analyzer.read.prose import is_prose

if TYPE_CHECKING:
    from collections.abc import Callable

    from analyzer.model.capture import Line

_ANSWER = re.compile(r"<[-~*< ]")
_TYPED = re.compile(  # what somebody typed after the prompt ">" of an SMTP client or of nslookup
    r"(?i)> ?(?:(?:EHLO|HELO|LHLO|MAIL|RCPT|DATA|QUIT|RSET|AUTH|STARTTLS|NOOP|VRFY)(?![\w/.-]|[ \t]*\|)|\.|[A-Za-z-]{1,30}: |$"
    r"|set [a-z]{1,12}(?:=|\s*$)|server [\w.:-]{1,80}\s*$|exit\s*$|[\w-]{1,63}(?:\.[\w-]{1,63}){1,9}\.?\s*$)"
)
_NAMED = re.compile(r"> ?[A-Za-z-]{1,30}: ")  # a field of a header that somebody typed, or a line that a program wrote
_REPLY = re.compile(r"[2-5][0-9]{2}[ -]")
_EXIM_TEST = re.compile(r">>> (?:host in |using ACL |processing \"|check |looking up host name|routing )")  # `exim -bh` thinking aloud
_FENCE = re.compile(
    r"\s{0,4}(?:`{3,}\w{0,20}|~{3,}\w{0,20}|\{(?:code|noformat)[^{}]{0,40}\}|\[/?code\]|</?(?:pre|code|blockquote|samp|tt)[^<>]{0,80}>)\s*$",
    re.IGNORECASE,
)
_FENCE_ALONE = re.compile(r"\s{0,8}(?:`{3}|~{3})[\w-]{0,20}\s*$")
_SHORTCODE = re.compile(r"\{\{[<%][^{}]{0,120}[>%]\}\}")
_LINK = re.compile(r"\[(<?[^\[\]\s()]{1,300}>?)\]\((?:mailto:|https?://)[^()\s]{1,400}\)")  # Markdown made of an address or a host's name
_TAG = re.compile(
    r"</?(?:pre|code|p|div|span|br|td|tr|table|tbody|li|ul|ol|b|strong|em|i|u|a|font|samp|tt|kbd|h[1-6]|hr)(?=[\s/>])[^<>]{0,400}/?>",
    re.IGNORECASE,
)
_XML = re.compile(r"<[a-z]{1,40}_[a-z_]{1,40}>")  # no element of HTML has an underscore in its name: a report by a program
_ENTITY = re.compile(r"&(?:lt|gt|amp|quot|nbsp|apos|#[0-9]{1,6}|#x[0-9A-Fa-f]{1,5});")
_NUMBERED = re.compile(r"\s{0,8}([0-9]{1,7})(?:\t|[:|] ?| {1,2}|$)")
_GREP = re.compile(
    r"(/[\w./@-]{1,200}|[\w@-][\w.@-]{0,80}\.(?:log|txt|err|info)(?:[.-][0-9]{1,8})?(?:\.gz)?"
    r"|(?:(?:exim_?)?(?:main|reject|panic)log|maillog|syslog|messages)(?:[.-][0-9]{1,8})?(?=:(?:[0-9]{1,9}:)?(?:[0-9]{4}-|[A-Z][a-z]{2} ))):"
)
_STAMP = re.compile(
    r"(?<!=)(?<!=\")(?:<[0-9]{1,3}>)?(?:[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}|(?<!(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) )[A-Z][a-z]{2} [ 0-9]?[0-9] [0-9]{2}:[0-9]{2}:[0-9]{2})"
)
_TAGGED = re.compile(r"(?:^|\s)[A-Za-z][\w./-]{1,60}\[[0-9]{1,10}\]: ")  # a log line that lost its stamp
# Where another log line begins inside a line, as where a web page lost its line ends.
_NEXT_LINE = re.compile(
    r"(?<=\s)(?=(?:[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}\S{0,20}|[A-Z][a-z]{2} [ 0-9]?[0-9] [0-9]{2}:[0-9]{2}:[0-9]{2})"
    r" (?:[\w.-]{1,255} )?[A-Za-z][\w./-]{1,60}\[[0-9]{1,10}\]: \S)"
)
_WHOLE = re.compile(r"[^\n]{8,300}?\[[0-9]{1,10}\]: \S+ \S")  # stamp, program and at least two words
_LINK = re.compile(r"\[([^\[\]\s]{1,320})\]\((?:mailto:|https?://)[^()\s]{1,800}\)")
_OPEN_MARK = re.compile(r"\s{0,4}(`{1,3})(?=[^`\s])")
_GOES_ON = re.compile(
    r"\s*(?:(?:delays?|dsn|status|relay|orig_to|conn_use|from|to|proto|helo|stat|ctladdr|mailer|pri|xdelay|size|nrcpt|message-id|client)=|\(|said:|reply to )"
)
_DASH = re.compile(
    r"(?<=[ \t])[\u2012-\u2015](?=(?:all|a|mx|ptr|include|ip[46]|exists)\b)"
)  # what a word processor made of the "-" of a mechanism
_ASIDE = re.compile(
    r"(?<=\S)[ \t]{1,40}(?:<[-=]{1,8}|\u2190|[#/]{1,2} ?<?[-=]{2,8})[ \t]+(?=[^\W\d_])(?!(?:EHLO|HELO|MAIL|RCPT|DATA|QUIT|AUTH|STARTTLS)\b|b['\"])[^\n]{2,200}$"
    r"|(?<=\S)[ \t]{1,40}(?:<[-=]{2,8}|\u2190)[ \t]*(?:[(!?*\"'][^\n]{0,200})?$"
)  # what somebody wrote behind a line
_COMMENT = re.compile(
    r"(?<=[^\s#$%>])[ \t]{2,60}(?:#{1,2}|//)(?:[ \t]*<?[-=]{0,8}[ \t]*[^\W\d_][^\n]{0,200}|[ \t]*<[-=]{1,8}[^\n]{0,200}|[ \t]*)$"
)
_LITERAL_END = re.compile(r"(?:\\r)?\\n$")
_TRANSLATED = str.maketrans(
    {
        "\u2026": "...",
        "\u2018": "'",
        "\u2019": "'",
        "\u201c": '"',
        "\u201d": '"',
        "\u00a0": " ",
        "\u2007": " ",
        "\u202f": " ",
        "\u200b": None,
        "\u200c": None,
        "\u200d": None,
        "\u2060": None,
        "\ufeff": None,
        "\u2013": "-",
        "\u2010": "-",
        "\u2011": "-",
        "\u2212": "-",
    }
)
_OBJECT = re.compile(r"(?:^|(?<=[\t :|]))[{\[](?=\s*(?:[{\[]\s*)*(?:\"[^\"\\\n]{1,80}\"\s*:|$))")  # where a JSON value begins
_CLOSES = re.compile(r"\s*[\]}]+,?\s*$")
_MARKS = re.compile(r'\\.|["{}\[\]]')
_LEAST_FLAT = 40  # so much of an object on one line is not its first line only
_MOST_JOINED = 40
_MOST_LEVELS = 4
_MOST_LOOKED_AT = 2_000
_MOST_FILES = 20
_WIDEST = 105  # a mail client wraps at 72 to 100 columns
_LEAST_WRAPPED = 55
_LEAST_MARKED = 3
_LEAST_TURNS = 4


def unquote(lines: list[Line]) -> tuple[list[Line], list[str]]:
    """*lines* without quoting, and notes on what was removed."""
    notes = []
    for step, note in _STEPS:
        changed = step(lines)
        if changed is not None:
            lines = changed
            notes.append(note)
    return lines, notes


def _with(line: Line, text: str) -> Line:
    return line if text == line.text else msgspec.structs.replace(line, text=text)


def _changed(lines: list[Line], read: Callable[[str], str]) -> list[Line] | None:
    found = [_with(line, read(line.text)) for line in lines]
    return found if any(a is not b for a, b in zip(found, lines, strict=True)) else None


def _share(lines: list[Line], pattern: re.Pattern[str]) -> float:
    full = [line for line in lines if line.text.strip()]
    return sum(bool(pattern.match(line.text)) for line in full) / len(full) if full else 0.0


# ---- the steps -------------------------------------------------------------------------------------------------------
def _characters(lines: list[Line]) -> list[Line] | None:
    if all(line.text.isascii() for line in lines):
        return None
    return _changed(lines, lambda text: (_DASH.sub("-", text) if "v=spf1" in text else text).translate(_TRANSLATED))


def _reply_marks(lines: list[Line]) -> list[Line] | None:
    """``> `` before lines, unless it marks what a client sent: one level after the other."""
    found: list[Line] | None = None
    for _ in range(_MOST_LEVELS):
        less = _one_level(found or lines)
        if less is None:
            break
        found = less
    return found


def _one_level(lines: list[Line]) -> list[Line] | None:
    quoted = [line for line in lines if line.text.startswith(">")]
    if not quoted or any(_ANSWER.match(line.text) for line in lines):
        return None
    if all(_TYPED.match(line.text) for line in quoted) and not _only_named(quoted, lines):
        return None
    inner = [line.text[1:] for line in quoted if line.text[1:].strip()]
    if any(text.startswith(">> ") for text in inner) and not all(text.startswith(">>") for text in inner):
        return None  # ">>> " marks what was sent
    if all(text.startswith(">> ") for text in inner) and _alternates(lines):
        return None  # nor is a program's trace between the lines of a dialogue a quotation
    if any(_EXIM_TEST.match(line.text) for line in lines[:_MOST_LOOKED_AT]):
        return None
    blanks = min((len(text) - len(text.lstrip(" ")) for text in inner if not text.startswith(">")), default=1)
    mark = ">" + " " * blanks
    return _changed(lines, lambda text: text[len(mark) :] if text.startswith(mark) else text.removeprefix("> ").removeprefix(">"))


def _only_named(quoted: list[Line], lines: list[Line]) -> bool:
    """Whether all marked lines begin with a name, and no server speaks between them: lines that a program wrote."""
    return all(_NAMED.match(line.text) for line in quoted) and not any(_REPLY.match(line.text) for line in lines)


def _alternates(lines: list[Line]) -> bool:
    """Whether lines with a mark and replies without one stand by turns."""
    marked = [line.text.startswith(">") for line in lines if line.text.startswith(">") or _REPLY.match(line.text)]
    return sum(a != b for a, b in zip(marked, marked[1:], strict=False)) >= _LEAST_TURNS


def _markup(lines: list[Line]) -> list[Line] | None:
    text = "\n".join(line.text for line in lines[:2000])
    if "content-type:" in text.lower() or _XML.search(text) or (len(_TAG.findall(text)) < 2 and not _ENTITY.search(text)):
        return None
    from html import unescape  # takes its time to import

    return _changed(lines, lambda t: unescape(_TAG.sub("", t)) if "<" in t or "&" in t else t)


def _shortcodes(lines: list[Line]) -> list[Line] | None:
    """The marks that a static site generator puts around words: ``{{< hl-text primary >}}QUIT{{< /hl-text >}}``."""
    return _changed(lines, lambda text: _SHORTCODE.sub("", text) if "{{" in text else text)


# Words that somebody set in bold within a line; asterisks that hide an address or a password stand inside it, or in longer runs.
_BOLD = re.compile(r"(?<![*\w<@.])\*\*(?=[A-Za-z])([^*\n]{4,300})(?<=[\w.:)\]>])\*\*(?![*\w@>.])")


def _fences(lines: list[Line]) -> list[Line] | None:
    full = [line for line in lines if line.text.strip()]
    ticks = sum(line.text.count("`") for line in full)
    opens = {line.number for line in full if line.text.lstrip().startswith("`") and line.text.count("`") == 1}
    shuts = {line.number for line in full if line.text.rstrip().endswith("`") and line.text.count("`") == 1}
    if opens and shuts and len(opens) == len(shuts) and ticks <= 4 * len(opens) and min(opens) < min(shuts):
        # an inline mark around several lines
        found = [
            _with(line, line.text.lstrip()[1:] if line.number in opens else line.text.rstrip()[:-1])
            if line.number in opens | shuts
            else line
            for line in lines
        ]
        return _fences(found) or found

    def read(text: str) -> str:
        if _FENCE.match(text):
            return ""
        if "](" in text:
            text = _LINK.sub(r"\1", text)
        bare = text.strip()
        if bare and not bare.strip("`"):
            return ""  # a mark left alone
        if (opened := _OPEN_MARK.match(text)) and opened[1] not in text[opened.end() :]:
            return text[opened.end() :]  # closed on another line, or not at all
        if bare.endswith("`") and bare.count("`") == 1:
            return bare[:-1]
        for mark in ("**", "```", "`"):
            if len(bare) > 2 * len(mark) and bare.startswith(mark) and bare.endswith(mark) and mark not in bare[len(mark) : -len(mark)]:
                return bare[len(mark) : -len(mark)]
        return _BOLD.sub(r"\1", text) if "**" in text else text

    less = _outdented(lines)
    return _changed(less, read) or (None if less is lines else less)


def _outdented(lines: list[Line]) -> list[Line]:
    """*lines* where what stands between two fences is indented as its fences are no more: a block within a list."""
    found: list[Line] = []
    indent = ""
    inside = False
    for line in lines:
        if _FENCE_ALONE.match(line.text):
            inside = not inside
            indent = line.text[: len(line.text) - len(line.text.lstrip(" \t"))] if inside else ""
        found.append(_with(line, line.text.removeprefix(indent)) if indent and inside else line)
    return found if any(a is not b for a, b in zip(found, lines, strict=True)) else lines


_RULE = re.compile(r"\s{0,4}\|?(?:\s{0,3}:?-{2,80}:?\s{0,3}\|){1,20}(?:\s{0,3}:?-{2,80}:?)?\s{0,3}$")


def _table_rules(lines: list[Line]) -> list[Line] | None:
    """The rule below the head of a Markdown table: ``-- | -- | --``."""
    return _changed(lines, lambda text: "" if "-|" in text.replace(" ", "") and _RULE.match(text) else text)


def _links(lines: list[Line]) -> list[Line] | None:
    """Markdown's links, which some programs make of every address and name: ``[<a@b>](mailto:a@b)``."""
    return _changed(lines, lambda text: _LINK.sub(r"\1", text) if "](" in text else text)


_MEMBER = re.compile(r"\s*\"[^\"\n]{1,80}\"\s*:")  # of a JSON object
_ROW = re.compile(r"\"?[0-9][0-9T:.+/ -]{15,34}Z?\"?,")


def _commas(lines: list[Line]) -> list[Line] | None:
    """A comma after each log line: elements of a list."""
    full = [line.text.rstrip() for line in lines if line.text.strip()]
    stamped = [text for text in full if _STAMP.search(text[:60]) and not _MEMBER.match(text)]
    if 2 * len(stamped) < len(full):
        return None  # they go on in the next line
    if len(stamped) < 2 or sum(text.endswith(",") for text in stamped) < 0.8 * len(stamped):
        return None
    if sum(_ROW.match(text) is not None for text in stamped) > len(stamped) / 2:
        return None  # rows of a table, the last cell of which is empty
    return _changed(lines, lambda text: text.rstrip().removesuffix(",") if _STAMP.search(text[:60]) and not _MEMBER.match(text) else text)


# Where the next line of PHPMailer's began, whose ends of lines were tags of a web page.
_SPOKEN = re.compile(
    r"(?<=\S)(?<!:[0-9]{2})[ \t]{1,40}(?=(?:[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8}[ \t]{1,20})?"
    r"(?:SERVER -> CLIENT|CLIENT -> SERVER|SMTP (?:INBOUND|OUTBOUND|ERROR|NOTICE)|Connection): )"
)
_TURN = re.compile(r"(?:SERVER -> CLIENT|CLIENT -> SERVER): ")


def _run_together(lines: list[Line]) -> list[Line] | None:
    """Several log lines, or turns of a dialogue, on one line."""
    found: list[Line] = []
    for line in lines:
        if len(_TURN.findall(line.text)) >= _LEAST_TURNS:
            found += [_with(line, part) for part in _SPOKEN.split(line.text)]
            continue
        at = [m.start() for m in _NEXT_LINE.finditer(line.text)] if len(line.text) > 2 * _LEAST_WRAPPED and "]: " in line.text else []
        ends = [0, *(i for i in at if i)]
        parts = [line.text[a:b].rstrip() for a, b in zip(ends, [*ends[1:], None], strict=True)]
        if len(parts) > 1 and all(_WHOLE.match(part) for part in parts[:-1]):
            found += [_with(line, part) for part in parts]
        else:
            found.append(line)
    return found if len(found) > len(lines) else None


def _line_ends(lines: list[Line]) -> list[Line] | None:
    if sum(line.text.endswith("<CRLF>") for line in lines) >= _LEAST_MARKED:
        return _changed(lines, lambda text: text.replace("<CRLF>", " ").rstrip())
    if sum(line.text.endswith("\\n") for line in lines) * 2 < len(lines):
        return None
    return _changed(lines, lambda text: _LITERAL_END.sub("", text))


def _numbers(lines: list[Line]) -> list[Line] | None:
    """Line numbers before the lines: they must count up by one."""
    found = [m for line in lines if line.text.strip() and (m := _NUMBERED.match(line.text))]
    full = sum(bool(line.text.strip()) for line in lines)
    numbers = [int(m[1]) for m in found]
    steps = sum(b - a == 1 for a, b in zip(numbers, numbers[1:], strict=False))
    if len(numbers) < 2 or len(numbers) < 0.9 * full or steps < 0.8 * (len(numbers) - 1):
        return None
    return _changed(lines, lambda text: _NUMBERED.sub("", text, count=1))


def _grep(lines: list[Line]) -> list[Line] | None:
    """File names, and perhaps line numbers, that grep wrote before the lines."""
    names = {m[1] for line in lines[:_MOST_LOOKED_AT] if (m := _GREP.match(line.text))}
    names = {n for n in names if not any(n.startswith(f"{x}-") for x in names)}  # grep -C: "mail.log-2026-11-23T10:00"
    full = [line.text for line in lines if line.text.strip()]
    if not names or len(names) > _MOST_FILES:
        return None
    prefix = re.compile(f"(?:{'|'.join(map(re.escape, sorted(names, key=len, reverse=True)))})([:-])")
    found = [text for text in full if prefix.match(text)]
    numbered = re.compile(prefix.pattern + r"([0-9]{1,9})\1")
    numbers = [int(m[2]) for m in map(numbered.match, found) if m]
    counted = len(numbers) >= 0.95 * len(found)
    # A mail program may have broken each line into several: numbers that rise tell the whole ones.
    rising = counted and len(numbers) > 1 and all(a < b for a, b in zip(numbers, numbers[1:], strict=False))
    if len(found) < (0.15 if rising else 0.6) * len(full):
        return None
    whole = _broken_after(lines, numbered) if rising else lines
    return _changed(whole, lambda text: (numbered if counted else prefix).sub("", text, count=1))


_LEAST_WIDTH = 50  # letters: no mail program breaks lines sooner


def _broken_after(lines: list[Line], begins: re.Pattern[str]) -> list[Line]:
    """*lines* with those that do not begin so, and follow one that is long enough to have been broken, put back behind it."""
    joined: list[Line] = []
    width = 0  # of the line before, where it is part of a whole one
    for line in lines:
        if begins.match(line.text):
            joined.append(line)
            width = len(line.text)
        elif line.text.strip() and width:
            last = joined[-1]
            if width + len(line.text.split()[0]) < _LEAST_WIDTH:
                joined.append(line)
                width = 0
                continue
            joined[-1] = msgspec.structs.replace(last, text=f"{last.text.rstrip()} {line.text.strip()}", last=line.last)
            width = len(line.text)
        else:
            joined.append(line)
            width = 0
    return joined if len(joined) < len(lines) else lines


def _indent(lines: list[Line]) -> list[Line] | None:
    """An indent that all lines share (a quoting ticket system, an indented code block)."""
    full = [line.text for line in lines if line.text.strip()]
    least = min((len(t) - len(t.lstrip(" \t")) for t in full), default=0)
    if (least < 2 and not all(t.startswith("\t") for t in full)) or least < 1 or (len(full) < 2 and least < 4):
        return None
    return _changed(lines, lambda text: text[least:])


_CAPTURED = re.compile(  # how a line of a capture begins
    r"[2-5][0-9]{2}[ -]|(?:EHLO|HELO|ehlo|helo) \S|(?i:MAIL FROM:|RCPT TO:)|[^\s$#>%]{0,60}[$#>%] (?:\S+/)?(?:telnet|nc|ncat|dig|host|nslookup|drill|swaks|openssl|curl) "
    r"|(?:telnet|dig|nslookup|swaks|openssl s_client) \S|; <<>>|;; |Trying [0-9a-f]|=== (?:Trying|Connected)|Traceback \(|<[-~*]{1,2} {1,2}[2-5][0-9]{2}"
)


def _indented_blocks(lines: list[Line]) -> list[Line] | None:
    """The indent of blocks between a person's words, as Markdown marks code with it."""
    found = list(lines)
    at = 0
    changed = False
    while at < len(lines):
        if not lines[at].text.startswith(("    ", "\t")) or not lines[at].text.strip():
            at += 1
            continue
        end = at
        while end < len(lines) and (not lines[end].text.strip() or lines[end].text.startswith(("    ", "\t"))):
            end += 1
        block = [line.text for line in lines[at:end] if line.text.strip()]
        before = next((line.text for line in reversed(lines[:at]) if line.text.strip()), "")
        after = next((line.text for line in lines[end:] if line.text.strip()), "")
        least = min(len(t) - len(t.lstrip(" \t")) for t in block)
        begins = any(_CAPTURED.match(t[least:]) or _STAMP.match(t[least:]) for t in block[:_LEAST_MARKED])
        if begins and all(not words or is_prose(words) for words in (before, after)):
            found[at:end] = [_with(line, line.text[least:]) if line.text.strip() else line for line in lines[at:end]]
            changed = True
        at = end
    return found if changed else None


def _asides(lines: list[Line]) -> list[Line] | None:
    """What somebody wrote behind a few lines of a dialogue: ``550 5.7.1 Relaying denied   <-- this one``."""
    marked = (line.text for line in lines if "--" in line.text or "<-" in line.text or "==" in line.text or "\u2190" in line.text)
    found = [text for text in marked if _ASIDE.search(text) is not None]
    few = len(found) > 0 and (len(found) <= max(2, len(lines) // 4) or all(_CAPTURED.match(t) or _STAMP.match(t) for t in found))
    noted = any(_COMMENT.search(line.text) is not None for line in lines if "#" in line.text or "//" in line.text)
    if not few and not noted:
        return None

    def read(text: str) -> str:
        less = _ASIDE.sub(_unless_open, text) if few else text
        return _COMMENT.sub(_unless_open, less) if noted and ("#" in text or "//" in text) else less

    return _changed(lines, read)


def _unless_open(found: re.Match[str]) -> str:
    """Nothing, or what was *found* where a bracket or a quotation is open before it: ``Client host [192.0.2.7 <-- example.org] blocked``."""
    before = found.string[: found.start()]
    quoted = before.count('"') % 2 == 1
    return found[0] if quoted or any(before.count(a) > before.count(b) and b in found[0] for a, b in ("[]", "()")) else ""


def _blank_lines(lines: list[Line]) -> list[Line] | None:
    """A blank line after each line, as some programs paste."""
    every_second = lines[1::2]
    if len(lines) < 6 or any(line.text.strip() for line in every_second) or sum(not x.text.strip() for x in lines[::2]) > len(lines) // 4:
        return None
    return lines[::2]


def _objects(lines: list[Line]) -> list[Line] | None:
    """JSON that was broken where it may not be, inside a string, or between the members of an object on one line."""
    if not any(_OBJECT.search(line.text) for line in lines):
        return None
    joined: list[Line] = []
    depth, string, flat = 0, False, False  # of the value that is open: its brackets, a string in it, whether it stood on one line
    count = 0
    for line in lines:
        last = joined[-1] if joined else None
        goes_on = string or (depth > 0 and flat and line.text[:1] not in {" ", "\t", ""} and not _CLOSES.match(line.text))
        if last is not None and goes_on and line.text.strip() and count < _MOST_JOINED:
            joined[-1] = msgspec.structs.replace(last, text=f"{last.text.rstrip()} {line.text.strip()}", last=line.last)
            count += 1
            text = line.text
        else:
            joined.append(line)
            begin = None if depth > 0 and not string else _OBJECT.search(line.text)
            if begin is None and (depth <= 0 or string):
                depth, string, flat = 0, False, False
                continue
            if begin is not None:
                depth, string = 0, False
                flat = len(line.text) - begin.start() > _LEAST_FLAT
            count = 0
            text = line.text[begin.start() :] if begin is not None else line.text
        change, string = _brackets(text, inside=string)
        depth += change
        if depth <= 0:
            depth, string = 0, False
    return joined if len(joined) < len(lines) else None


def _brackets(text: str, *, inside: bool) -> tuple[int, bool]:
    """How many brackets *text* leaves open, and whether a string; it begins *inside* one or not."""
    depth = 0
    for mark in _MARKS.finditer(text):
        if mark[0] == '"':
            inside = not inside
        elif not inside and len(mark[0]) == 1:
            depth += 1 if mark[0] in "{[" else -1
    return depth, inside


def _wraps(lines: list[Line]) -> list[Line] | None:
    """Log lines that a mail client wrapped, as one line again."""
    stamped = [bool(_STAMP.search(line.text[:60]) or _TAGGED.search(line.text[:80])) for line in lines]
    if not any(stamped) or all(stamped):
        return None
    width = max((len(line.text) for line in lines if " " in line.text), default=0)  # a word alone may be too long to break
    joined: list[Line] = []
    count = 0
    part = ""
    for line, has_stamp in zip(lines, stamped, strict=True):
        last = joined[-1] if joined else None
        if last is not None and not has_stamp and count < _MOST_JOINED and _continues(last.text, part, line.text, width):
            joined[-1] = msgspec.structs.replace(last, text=f"{last.text.rstrip()} {line.text.strip()}", last=line.last)
            count += 1
        else:
            joined.append(line)
            count = 0
        part = line.text
    return joined if len(joined) < len(lines) else None


def _continues(text: str, part: str, following: str, width: int) -> bool:
    """Whether *following* goes on with the log line *text*, whose last part is *part*; no line is wider than *width*."""
    if not following.strip() or not (_STAMP.search(text[:60]) or _TAGGED.search(text[:80])):
        return False
    word = following.split(maxsplit=1)[0]
    if _LEAST_WRAPPED <= width <= _WIDEST and len(part) + len(word) >= width:
        return True
    if len(part) < _LEAST_WRAPPED - 20:
        return False
    open_ = text.count("(") > text.count(")") or text.count("<") > text.count(">")
    return len(part) >= _LEAST_WRAPPED and (open_ or text.rstrip().endswith(",") or bool(_GOES_ON.match(following)))


_STEPS: tuple[tuple[Callable[[list[Line]], list[Line] | None], str], ...] = (
    (_characters, "typographic characters were read as plain ones"),
    (_reply_marks, "quote marks were removed"),
    (_markup, "HTML was removed"),
    (_shortcodes, "shortcodes of a web page were removed"),
    (_fences, "Markdown was removed"),
    (_table_rules, "the rules of tables were removed"),
    (_links, "links were replaced by their text"),
    (_line_ends, "literal line ends were removed"),
    (_commas, "the comma after each line was removed"),
    (_run_together, "lines on one line were told apart"),
    (_grep, "file names before the lines were removed"),
    (_numbers, "line numbers before the lines were removed"),
    (_indent, "the common indent was removed"),
    (_indented_blocks, "the indent of blocks was removed"),
    (_asides, "remarks behind lines were removed"),
    (_blank_lines, "blank lines between the lines were removed"),
    (_objects, "JSON that was broken was joined"),
    (_wraps, "wrapped lines were joined"),
)
