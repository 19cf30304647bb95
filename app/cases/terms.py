"""Words by which a case is found: folded, so that accents, case and carets do not matter."""

import re
import unicodedata

MAX_LENGTH = 64
MAX_TERMS = 32
END = "\U0010ffff"

_WORD = re.compile(r"[\w-]+")


def find_terms(*texts: str | None) -> list[str]:
    """Give the words of some texts, each once, in order."""
    words: dict[str, None] = {}
    for text in texts:
        for word in _WORD.findall(_fold(text or "")):
            words[word[:MAX_LENGTH]] = None
    return list(words)[:MAX_TERMS]


def _fold(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(sign for sign in decomposed if not unicodedata.combining(sign))
