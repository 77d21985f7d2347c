"""Citations: whatever is cited is BibTeX that a strict reader takes, each work once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_study import command

import hpbench
from hpbench.catalog import dataset_cards, model_cards, protocols_of, published_works
from hpbench.citations import bibtex, cite, entries_of, latex
from hpbench.errors import InputError

ROOT = Path(__file__).resolve().parents[1]
PROTOCOLS = [p.id for card in dataset_cards().values() for p in protocols_of(card)]


def checked(text: str) -> dict[str, dict[str, str]]:
    """The fields of a .bib file by key; an assertion fails for what BibTeX would not take.  Written apart from hpbench's own reader."""
    body = "\n".join(line for line in text.splitlines() if not line.startswith("%"))
    assert all(line.isprintable() for line in text.splitlines()), "a control character"
    found: dict[str, dict[str, str]] = {}
    for block in re.split(r"\n(?=@)", body.strip()):
        head, *lines, last = block.strip().splitlines()
        kind, key = re.fullmatch(r"@([a-z]+)\{([^\s,{}%#\"'=()~\\@]+),", head).groups()  # type: ignore[union-attr]
        assert last == "}" and kind in ("misc", "article", "inproceedings", "book", "phdthesis", "techreport"), head
        assert key.casefold() not in {k.casefold() for k in found}, f"{key} twice"
        found[key] = {}
        for line in lines:
            name, value = re.fullmatch(r"  (\w+) *= \{(.*)\},", line).groups()  # type: ignore[union-attr]
            assert name not in found[key]
            depth = 0
            for place, char in enumerate(value):
                escaped = place and value[place - 1] == "\\"
                depth += 0 if escaped else {"{": 1, "}": -1}.get(char, 0)
                assert depth >= 0, line
                assert escaped or char not in "&%$#" or name in ("doi", "url", "eprint"), f"{char} is not escaped: {line}"
            assert depth == 0 and value.count("{") == value.count("}"), line  # BibTeX counts escaped braces too
            found[key][name] = value
        assert found[key].keys() & {"title", "key"}
    return found


def test_everything_at_once() -> None:
    names = ["hpbench", *dataset_cards(), *model_cards(), *published_works(), *PROTOCOLS]
    found = checked(cite(names))
    dois = [fields["doi"].lower() for fields in found.values() if "doi" in fields]
    assert len(dois) == len(set(dois)) > 10 and len(found) > 150
    assert {"hpbench", "zhu2016face", "kazemi2014one", "valle2020multitask", "hpbench-aflw2000-pose-1969-v1"} <= found.keys()


def test_cards_are_bibtex_and_ids_are_not_shared() -> None:
    kinds = [dataset_cards(), model_cards(), published_works(), {"hpbench": None}]
    assert len({name for kind in kinds for name in kind}) == sum(map(len, kinds))
    for card in (*dataset_cards().values(), *model_cards().values()):
        for entry in entries_of(card.citation, card.id):
            assert checked(bibtex([entry])) == {entry.key: dict(entry.fields)}
            assert entry.field("author") and entry.field("title") and entry.field("year")


def test_hpbench_is_what_the_citation_file_says() -> None:
    cff = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    entry = checked(cite(["hpbench"]))["hpbench"]
    assert f'title: "{entry["title"].strip("{}")}"' in cff and f"name: {entry['author'].strip('{}')}" in cff
    assert entry["note"] == f"Software, version {hpbench.__version__}, Apache-2.0"
    assert f"version: {hpbench.__version__}\n" in cff and "license: Apache-2.0\n" in cff


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = command(capsys, "cite", "aflw2000/pose-1969@1", "aflw2000", "300w-lp", "dlib68")
    assert (code, err) == (0, "")
    assert list(checked(out)) == ["hpbench-aflw2000-pose-1969-v1", "zhu2016face", "ruiz2018fine", "hpbench", "kazemi2014one"]
    assert "% aflw2000/pose-1969: the exclusion as in Ruiz, Chong, Rehg" in out
    for name, words in (
        ("aflw200", "did you mean 'aflw2000'"), ("aflw2000/pose-196", "did you mean 'aflw2000/pose-1969'"), ("hopnet2017", "'hopenet2017'"),
    ):  # fmt: skip
        code, out, err = command(capsys, "cite", "cofw", name)
        assert (code, out) == (2, "") and words in err
    assert command(capsys, "cite")[0] == 2


def test_one_work_under_two_names_is_one_entry() -> None:
    for names in (["mnn2020", "mnn"], ["mnn", "mnn2020", "mnn+or"], ["mnn2020"]):
        text = cite(names)
        assert list(checked(text)) == ["valle2020multitask"] and "author" in checked(text)["valle2020multitask"]
    assert "% mnn2020: valle2020multitask here: the same work" in cite(["mnn2020"])
    assert "frontal: no work of its own is known" in cite(["frontal"]) and list(checked(cite(["frontal", "hpbench"]))) == ["hpbench"]


def test_a_work_without_authors_says_so() -> None:
    text = cite(["fan2017"])
    assert "our tables have no authors" in text
    assert checked(text)["fan2017"] == {
        "key": r"How far are we from solving the 2D \& 3D Face Alignment problem?",
        "title": r"{How far are we from solving the 2D \& 3D Face Alignment problem?}",
        "year": "2017", "eprint": "1703.07332", "archivePrefix": "arXiv",
    }  # fmt: skip


def test_private_works_under_taken_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, title in (("one", "A title of some length"), ("two", "Quite another title")):
        (tmp_path / "baselines" / name).mkdir(parents=True)
        (tmp_path / "baselines" / name / "card.toml").write_text(
            f'id = "{name}"\ntitle = "{name}"\ntarget = "a:B"\ncitation = "@misc{{x, title = {{{title}}}, year = 2020}}"\n'
        )
    (tmp_path / "baselines/published_works.csv").write_text(
        "key,title,year,venue,arxiv,doi,url\n"
        "odd,50 % of {Köstinger} & Łukasz_#1 ~ \\x^2 $5,2021,A & B,,10.1/a_b<c>,https://a.example/?q=1&r=%20#x_y\n"
    )
    monkeypatch.setenv("HPBENCH_CATALOG", str(tmp_path))
    assert list(checked(cite(["one", "two"]))) == ["x", "x-2"]
    odd = checked(cite(["odd"]))["odd"]
    assert odd["url"] == "https://a.example/?q=1&r=%20#x_y" and odd["doi"] == "10.1/a_b<c>" and odd["howpublished"] == r"A \& B"
    wanted = r"50 \% of \{K{\"{o}}stinger\} \& {\L}ukasz\_\#1 \textasciitilde{} \textbackslash{}x\textasciicircum{}2 \$5"
    assert odd["key"] == wanted
    (tmp_path / "baselines/one/card.toml").write_text('id = "one"\ntitle = "o"\ntarget = "a:B"\ncitation = "@misc{x, title = {A"\n')
    with pytest.raises(InputError, match="model one: a brace is not closed"):
        cite(["one"])


@pytest.mark.parametrize(
    ("text", "words"),
    [("see the paper", "no BibTeX"), ("@misc{a, title {x}}", "no field at"), ("@misc{a, title = x}", "no value in braces"),
     ("@misc{a, title = {x} year = 2000}", "a comma is missing"), ("@misc{a, year = 1, year = 2}", "stands twice"),
     ("@misc{a b, year = 1}", "no BibTeX"), ("@misc{a, year = 1}\n@misc{a, year = 1}", "stands twice")],
)  # fmt: skip
def test_citations_that_are_none(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        entries_of(text, "card")


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30))
def test_any_text_is_escaped(text: str) -> None:
    escaped = latex(text)
    assert not re.search(r"(?<!\\)[&%#]", escaped) and escaped.count("{") == escaped.count("}") or "{" in text or "}" in text
    shown = escaped.replace("\\{", "").replace("\\}", "")
    depth = 0
    for char in shown:
        depth += {"{": 1, "}": -1}.get(char, 0)
        assert depth >= 0
    assert depth == 0


def test_own_reader_reads_what_it_writes() -> None:
    text = cite([*dataset_cards(), *model_cards()])
    entries = entries_of("\n".join(line for line in text.splitlines() if not line.startswith("%")), "all")
    assert {e.key: dict(e.fields) for e in entries} == checked(text)
