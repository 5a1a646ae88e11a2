"""Whether a line that no format reads is a person's words, or evidence that was not understood."""

from __future__ import annotations

from analyzer.expressions import re

_WORD = re.compile(
    r"[\"'(\[*_#>-]{0,3}[^\W\d_]+(?:['.’/-][^\W\d_]+)*[\"')\]*_]{0,3}[.,:;!?]{0,3}|[-–—&+]|[0-9]{1,4}[.,:;!?)%]{0,2}", re.UNICODE
)
# What programs write and people do not: stamps, codes and marks at the head, values behind names, records, code.
_PRINTED = re.compile(
    r"\A\s*(?:[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:|[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?\s|[A-Z][a-z]{2} [ 0-9]?[0-9] [0-9]{2}:[0-9]{2}:|[2-5][0-9]{2}[ -]"
    r"|[<>=~*+|!-]{1,4}\s|;|\||[$%] |[A-Za-z][\w./-]{1,40}\[[0-9]{1,10}\]:|\[(?:[0-9]|[A-Z]{4,}\]|error|warn|info|debug)|[{}<]"
    r"|(?i:error|warning|fatal|panic|debug|info|notice|note|exception)\b ?:|Traceback |[A-Za-z][\w-]{2,30}:[ \t]+\S+$)"
    r"|\b\w+=\S|\s=>\s|\\r\\n|\(\)|::|\s(?i:IN)\s+(?:A|AAAA|MX|TXT|NS|CNAME|PTR|SOA)\s|\bat [\w.$]+\([\w.]+:[0-9]+\)"
)
_BULLET = re.compile(r"\s*(?:[-*+•]|[0-9]{1,2}[.)])\s+(?=\S)")
_REMARK = re.compile(
    r"\s*(?:(?:#{1,4}|//|-{2,8}>?|<?-{2,8}|\.{3}|\(|\[|\*{1,3}|<[-=]{1,4}|[-=]{1,4}>)\s{0,8}){1,2}(?=[^\W\d_])"
)  # what opens a remark beside a capture
# What somebody typed at a shell, and what a mail program leaves of a picture: neither says anything of the mail.
_TYPED = re.compile(
    r"\s{0,8}(?:(?:\[?[\w.-]{1,60}@[\w.-]{1,80}[: ]\S{0,80}\s?|PS [A-Z]:\\[^>\n]{0,100}|[A-Z]:\\[^>\n]{0,100})[$#%>]\s?|[$#%] )(?=[\w./~\\\"'(-])[^\n]*\Z"
)
_PICTURE = re.compile(
    r"\s*[\[<](?:cid:|image: |(?:https?|file)://[^\s<>\[\]]{1,300}\.(?:png|gif|jpe?g|svg)\b)[^\n]{0,200}[\]>]\s*\Z", re.IGNORECASE
)
# Words that speak of failure, in a program's mouth or a person's.
FAILURE = re.compile(
    r"(?i)\b(?:errors?|fail(?:s|ed|ure|ures)?|refused|denied|reject(?:ed|s)?|timed? ?out|can(?:not|'t)|could(?:n't| not)|unable|expired|invalid|"
    r"fatal|panic|unexpected(?:ly)?|untrusted|abort(?:ed)?|exceeded)\b"
)
_MISSES = re.compile(r"(?i)\b(?:not found|unreachable|unknown)\b")  # in a program's mouth; in a person's they may say anything
_PERSONAL = re.compile(
    r"(?i)\b(?:i|i'm|i've|i'd|me|my|we|we're|our|us|you|your|he|she|they|it|it's|this|that|there|these|here|then|when|what|why|how|if|but|so|because|"
    r"please|thanks?|hello|hi|ich|wir|mein|nicht|je|nous|mon|yo|mi|pero|the)\b"
)
_ASKS = re.compile(
    r"(?i)(?:is|are|was|were|do|does|did|can|could|should|has|have|will|would|any|anyone|anybody|who|where|which)\b[^\n]{6,300}\?{1,5}\Z"
)  # a program does not
_LEAST_SHARE = 0.7
_MOST_LOOKED_AT = 600  # characters
_SHORT = 8  # words: a program's complaint is no longer, mostly


def is_prose(text: str) -> bool:
    """Whether *text* reads as what a person wrote around or beside a capture: mostly plain words, nothing that only programs print."""
    bare = text[:_MOST_LOOKED_AT].strip()
    if _PICTURE.match(bare) or (_TYPED.match(bare) and not (bare.startswith(("#", "%")) and _fails(bare))):
        return True
    opened = _REMARK.match(bare)
    said = bare[opened.end() :].rstrip("-=*# ") if opened else bare
    if not any(c.isalpha() for c in said):
        return False
    if not opened and _PRINTED.search(_BULLET.sub("", bare, count=1)):
        return False
    words = said.split()
    plain = sum(_WORD.fullmatch(word) is not None for word in words)
    if plain < _LEAST_SHARE * len(words):
        return False
    return not _fails(said) or bool(_PERSONAL.search(said) or _ASKS.match(said)) or len(words) > _SHORT


def _fails(text: str) -> bool:
    return bool(FAILURE.search(text) or _MISSES.search(text))
