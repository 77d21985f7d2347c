"""BibTeX for what a result rests on: data sets, models, protocols, published works, and hpbench itself.

Cards hold BibTeX; of published works the tables know title, year, venue and identifiers, but no authors: such an entry takes the authors
from a card that cites the same work, or says that it has none.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from . import __version__
from .catalog import Protocol, Work, dataset_cards, model_cards, protocol_named, protocols_of, published_works
from .errors import InputError, did_you_mean

__all__ = ["Entry", "bibtex", "cite", "entries_of", "latex"]

OWN = "hpbench"
_TELLING = 12  # letters of a title; fewer could be another work's

_SPECIAL = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    **{c: f"\\{c}" for c in "&%$#_{}"},
    "ß": r"{\ss}", "ø": r"{\o}", "Ø": r"{\O}", "ł": r"{\l}", "Ł": r"{\L}", "æ": r"{\ae}", "Æ": r"{\AE}", "œ": r"{\oe}", "ı": r"{\i}",
    "–": "--", "—": "---", "’": "'", "‘": "`", "“": "``", "”": "''", "\u00a0": "~", "→": r"$\to$", "×": r"$\times$", "°": r"$^\circ$",
}  # fmt: skip
_ACCENTS = {
    "\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0304": "=", "\u0306": "u", "\u0307": ".", "\u0308": '"', "\u030a": "r",
    "\u030b": "H", "\u030c": "v", "\u0327": "c", "\u0328": "k",
}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """A BibTeX entry; values of `fields` stand as in a file, without their outermost braces or quotes."""

    kind: str
    key: str
    fields: tuple[tuple[str, str], ...]

    def field(self, name: str) -> str:
        return next((value for key, value in self.fields if key == name), "")

    def __str__(self) -> str:
        width = max((len(name) for name, _ in self.fields), default=0)
        lines = (f"  {name.ljust(width)} = {{{value}}}," for name, value in self.fields)
        return "\n".join((f"@{self.kind}{{{self.key},", *lines, "}"))

    @property
    def identities(self) -> set[str]:
        """What tells that two entries are one work: DOI, arXiv number, title."""
        arxiv = re.search(r"\d{4}\.\d{4,5}", self.field("eprint") or self.field("journal"))
        title = re.sub(r"[^a-z0-9]", "", re.sub(r"\\[a-zA-Z]+", "", self.field("title")).lower())
        doi = self.field("doi").replace("\\", "").lower()
        told = {"doi": doi, "arxiv": arxiv[0] if arxiv else "", "title": title if len(title) >= _TELLING else ""}
        return {f"{name} {value}" for name, value in told.items() if value}


def cite(names: Sequence[str]) -> str:
    """BibTeX of everything named, each work once.

    Parameters
    ----------
    names : sequence of str
        Ids of data sets (``aflw2000``), models (``dlib68``), protocols (``aflw2000/pose-1969``), works (``hopenet2018``), or ``hpbench``.

    Raises
    ------
    InputError
        An id that nothing has, with the nearest one; a card whose citation is no BibTeX.
    """
    library = _Library()
    entries: list[Entry] = []
    comments: list[str] = []
    for name in names:
        found, said = library.of(name)
        entries += found
        comments += [f"{name.partition('@')[0]}: {text}" for text in said]
    folded, also = _folded(entries)
    comments += [f"{other} is {key} here: the same work" for other, key in also]
    return bibtex(folded, comments)


def bibtex(entries: Iterable[Entry], comments: Iterable[str] = ()) -> str:
    """The text of a .bib file; comments come first, one a line."""
    said = "".join(f"% {' '.join(text.replace('@', ' at ').split())}\n" for text in dict.fromkeys(comments))
    return (said + "\n" if said else "") + "\n\n".join(map(str, entries)) + "\n"


class _Library:
    """All that can be cited, read once."""

    def __init__(self) -> None:
        self.datasets, self.models, self.works = dataset_cards(), model_cards(), published_works()
        citations = {name: card.citation for name, card in self.datasets.items()}
        citations |= {f"model {name}": card.citation for name, card in self.models.items()}
        self._cited = [(entry, entry.identities) for name, text in citations.items() for entry in entries_of(text, name)]
        self._protocols: dict[str, dict[str, Protocol]] = {}

    def of(self, name: str) -> tuple[list[Entry], list[str]]:
        """The entries of one id, and what to say beside them."""
        found: list[Entry] = []
        said: list[str] = []
        if name == OWN:
            return [own_entry()], []
        if name in self.datasets:
            found += entries_of(self.datasets[name].citation, f"dataset {name}")
        if name in self.models:
            card = self.models[name]
            found += entries_of(card.citation, f"model {name}")
            if not card.citation.strip():
                found.append(own_entry())
                said.append("no work of its own is known; it is hpbench's")
        if name in self.works:
            entry = self.work(self.works[name])
            found.append(entry)
            if entry.key != name:
                said.append(f"{entry.key} here: the same work")
            elif not entry.field("author"):
                said.append("our tables have no authors: complete it from its DOI, arXiv number or title")
        if "/" in name:
            return self._of_protocol(self._protocol(name))
        if not found:
            known = [*self.datasets, *self.models, *self.works, OWN, *(p.id for c in self.datasets.values() for p in protocols_of(c))]
            raise InputError(f"nothing to cite is called {name!r}: {did_you_mean(name, known)}")
        return found, said

    def _protocol(self, text: str) -> Protocol:
        name, _, version = text.partition("@")
        dataset = name.partition("/")[0]
        if dataset in self.datasets and dataset not in self._protocols:
            self._protocols[dataset] = {p.id: p for p in protocols_of(self.datasets[dataset])}
        found = self._protocols.get(dataset, {}).get(name)
        return found if found and version in ("", str(found.version)) else protocol_named(text)

    def _of_protocol(self, protocol: Protocol) -> tuple[list[Entry], list[str]]:
        """The protocol's text, the works it names, and its other sources in its own words."""
        of_card = {e.key: e for e in entries_of(self.datasets[protocol.dataset].citation, f"dataset {protocol.dataset}")}
        found = [_protocol_entry(protocol)]
        said = []
        for part in filter(None, (" ".join(p.split()) for p in protocol.citation.split(";"))):
            if part in of_card:
                found.append(of_card[part])
                continue
            named = [work for work in self.works.values() if len(_plain(work.title)) >= _TELLING and _plain(work.title) in _plain(part)]
            found += [self.work(work) for work in named]
            said.append(part)
        return [*found, own_entry()], said

    def work(self, work: Work) -> Entry:
        """A published work; as a card has it where one cites the same."""
        entry = _work_entry(work)
        own = entry.identities
        return next((other for other, identities in self._cited if identities & own), entry)


def own_entry() -> Entry:
    """hpbench itself, as CITATION.cff says it, which does not come with an installed package."""
    title = "hpbench: benchmarks for head pose, facial landmarks and landmark visibility"
    fields = {"author": "{The hpbench developers}", "title": f"{{{title}}}", "note": f"Software, version {latex(__version__)}, Apache-2.0"}
    return Entry("misc", OWN, tuple(fields.items()))


def _protocol_entry(protocol: Protocol) -> Entry:
    fields = {
        "author": "{The hpbench developers}",
        "title": f"{{Protocol {latex(protocol.id)}, version {protocol.version}: {latex(protocol.title)}}}",
        "howpublished": f"A file of hpbench {latex(__version__)}",
        "note": f"sha256 {protocol.sha256}",
    }
    return Entry("misc", f"{OWN}-{protocol.id.replace('/', '-')}-v{protocol.version}", tuple(fields.items()))


def _work_entry(work: Work) -> Entry:
    fields = {
        "key": latex(work.title or work.key),  # styles sort an entry without authors by it
        "title": f"{{{latex(work.title or work.key)}}}",
        "howpublished": latex(work.venue),
        "year": work.year,
        "doi": _bare(work.doi),
        "eprint": _bare(work.arxiv),
        "archivePrefix": "arXiv" if work.arxiv else "",
        "url": _bare(work.url),
    }
    return Entry("misc", work.key, tuple((name, value) for name, value in fields.items() if value))


def _folded(entries: Iterable[Entry]) -> tuple[list[Entry], list[tuple[str, str]]]:
    """Each work once, the fullest of its entries in the first one's place; keys that went, with those that stand for them."""
    kept: list[Entry] = []
    known: list[set[str]] = []
    also: list[tuple[str, str]] = []
    for entry in entries:
        own = entry.identities
        place = next((n for n, other in enumerate(kept) if other == entry or known[n] & own), None)
        if place is None:
            known.append(own)
            taken = sum(other.key == entry.key for other in kept)  # another work under the same key: of a private catalog
            kept.append(replace(entry, key=f"{entry.key}-{taken + 1}") if taken else entry)
            continue
        other = kept[place]
        known[place] |= own
        if (bool(entry.field("author")), len(entry.fields)) > (bool(other.field("author")), len(other.fields)):
            kept[place], entry = entry, other
        if entry.key != kept[place].key:
            also.append((entry.key, kept[place].key))
    return kept, also


def latex(text: str) -> str:
    """Plain text as LaTeX sets it: special characters escaped, accents as commands, anything else as it is."""
    out: list[str] = []
    for char in unicodedata.normalize("NFC", " ".join(text.split())):
        parts = unicodedata.normalize("NFD", char)
        if char in _SPECIAL:
            out.append(_SPECIAL[char])
        elif len(parts) == 2 and parts[1] in _ACCENTS and parts[0].isascii():
            base = {"i": r"\i", "j": r"\j"}.get(parts[0], parts[0])
            out.append(f"{{\\{_ACCENTS[parts[1]]}{{{base}}}}}")
        else:
            out.append(char)
    return "".join(out)


def _bare(text: str) -> str:
    """An identifier or address as it stands: styles set it letter by letter; nothing in it may end the field."""
    return re.sub(r"[{}\\\s]", lambda m: f"%{ord(m[0]):02X}", text)


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower().replace("&", "and"))


# ------------------------------------------------------------------------------------------------- BibTeX of cards


def entries_of(text: str, where: str) -> list[Entry]:
    """The entries of a BibTeX text; `where` is what an error calls it.

    Raises
    ------
    InputError
        Something that is no entry, braces that do not close, a field without a value, a field or key twice.
    """
    found: list[Entry] = []
    rest = text.strip()
    while rest:
        head = re.match(r"@([A-Za-z]+)\s*\{\s*([^\s,{}%#~\\\"'()=@]+)\s*,", rest)
        if not head:
            raise InputError(f"{where}: the citation is no BibTeX at {rest[:40]!r}.")
        end = _closing(rest, rest.index("{"), where)
        fields = tuple(_fields(rest[head.end() : end], where))
        if len(dict(fields)) < len(fields) or head[2] in {entry.key for entry in found}:
            raise InputError(f"{where}: a field or a key stands twice in the citation {head[2]!r}.")
        found.append(Entry(head[1].lower(), head[2], fields))
        rest = rest[end + 1 :].strip()
    return found


def _closing(text: str, start: int, where: str) -> int:
    """Place of the brace that closes the one at `start`."""
    depth = 0
    for place in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if not depth:
            return place
    raise InputError(f"{where}: a brace is not closed in the citation at {text[start : start + 40]!r}.")


def _fields(body: str, where: str) -> Iterator[tuple[str, str]]:
    rest = body.strip()
    while rest:
        head = re.match(r"([A-Za-z][\w-]*)\s*=\s*", rest)
        if not head:
            raise InputError(f"{where}: the citation has no field at {rest[:40]!r}.")
        value = rest[head.end() :]
        if value.startswith("{"):
            end = _closing(value, 0, where)
            content, rest = value[1:end], value[end + 1 :]
        elif quoted := re.match(r'"((?:[^"{}]|\{[^{}]*\})*)"', value):
            content, rest = quoted[1], value[quoted.end() :]
        elif number := re.match(r"\d+", value):
            content, rest = number[0], value[number.end() :]
        else:
            raise InputError(f"{where}: the field {head[1]} of the citation has no value in braces or quotes.")
        yield head[1], " ".join(content.split())
        rest = rest.lstrip()
        if rest and not rest.startswith(","):
            raise InputError(f"{where}: a comma is missing in the citation at {rest[:40]!r}.")
        rest = rest[1:].strip()
