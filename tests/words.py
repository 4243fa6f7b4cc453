"""Holds the English of the repository against a list of words: comments and strings of C, Python and SQL, every line of a document.

  tests/words.py [FILE…]    every file of the repository, or those; prints `file:line: word: what is better: the line`

Exits with 1 if it prints anything.
"""
import io
import pathlib
import re
import subprocess
import sys
import tokenize

ROOT = pathlib.Path(__file__).resolve().parents[1]
# What others wrote, and the list itself.
ELSEWHERE = ("tests/golden/", "tests/words.py", "LICENSE")
WORDS = (
    (r"(?i:whoever|whomever|nobody|somebody|anybody|everybody)|(?:(?<=[.:;] )|(?<=\* )|(?<=// ))Who", "name the subject"),
    (r"(?i:tell|tells|telling|told|hear|hears|heard|hearing|learn|learns|learnt|learned|learning)",
     "a module returns, records, logs, sends, reads"),
    (r"(?i:say|says|said|saying)", "a module returns, logs, shows; a document states"),
    (r"(?i:forget|forgets|forgot|forgotten|remember|remembers|remembered|remembering)", "a module keeps, stores, drops"),
    (r"(?i:anew|likewise|of late|be it|hitherto|thereof|therein|whence|hence|albeit|lest|heed|heeds|deaf)", "a word of today"),
    (r"(?i:makes? no sense)", "invalid"),
    (r"(?i:nothing is \w+ but)", "one negation"),
    (r"(?i:but for)", "except"),
    (r"(?i:for want of)", "because it ran out, or is missing"),
    (r"(?i:as good as|what came of|come to an end|comes to an end)", "in plain words: nearly, the result, ends"),
    (r"who (?:asks|closes|defers|joined|looks|waits|would)|by whom ever", "name the subject"),
    (r"(?i:whosoever|whatsoever|whereof|wherein|whereby|thereby|thereupon|henceforth|whilst|amongst|anyhow)", "a word of today"),
)
PATTERNS = [(re.compile(rf"\b(?:{words})\b"), better) for words, better in WORDS]
C_PROSE = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', re.DOTALL)
SQL_PROSE = re.compile(r"--[^\n]*|'[^']*'")


def prose_of_c(text, pattern=C_PROSE):
    for found in pattern.finditer(text):
        first = text.count("\n", 0, found.start()) + 1
        yield from enumerate(found.group().splitlines(), first)


def prose_of_python(text):
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in (tokenize.COMMENT, tokenize.STRING):
            yield from enumerate(token.string.splitlines(), token.start[0])


def prose(path, text):
    """Lines of English in a file, with their numbers."""
    if path.suffix in (".c", ".h"):
        return prose_of_c(text)
    if path.suffix == ".sql":
        return prose_of_c(text, SQL_PROSE)
    if path.suffix == ".py":
        return prose_of_python(text)
    return enumerate(text.splitlines(), 1)


def faults(lines):
    """Number, words, what is better, and line of each match; a match may go on in the next line of a comment or a sentence."""
    before = (0, "")
    for number, line in lines:
        text = re.sub(r'^[\s*/#"-]+|[\s"\\]+$', "", line)
        start = f"{before[1]} " if before[0] == number - 1 else ""
        for pattern, better in PATTERNS:
            yield from ((number, found.group(), better, line) for found in pattern.finditer(line))
            for found in pattern.finditer(start + text):
                if found.start() < len(start) - 1 < found.end():
                    yield number, found.group(), better, line
        before = (number, text)


def main(names):
    names = names or subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines()
    bad = 0
    for name in names:
        if name.startswith(ELSEWHERE):
            continue
        path = ROOT / name
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        for number, words, better, line in faults(prose(path, text)):
            bad += 1
            print(f"{name}:{number}: {words}: {better}: {line.strip()}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
