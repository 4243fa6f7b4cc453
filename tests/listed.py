"""A folder for PATH that holds the programs of the named packages, of all that they depend on, and of Debian's smallest system, and no
other: what runs with it alone needs no package that is not named, whatever this machine has besides.

  tests/listed.py FOLDER PACKAGE…           makes the folder and prints its name
  tests/listed.py --whole-paths PACKAGE…    prints what goes past PATH to a program of another package
"""
import glob
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
FOLDERS = ("/usr/sbin", "/usr/bin", "/sbin", "/bin")
# Their whole paths are of other machines.
ELSEWHERE = ("tests/roots/", "tests/listed.py")
WHOLE_PATH = re.compile(r"(?<![\w$}.)-])(?:/usr)?/(?:s?bin|lib/[\w.*/+-]+/bin)(?:/[\w.+*-]+)?")
PATH_OF_ITS_OWN = re.compile(r"\bPATH=[\"']?/usr\S*")


class Packages:
    """What dpkg knows of the packages that are installed."""

    FIELDS = ("Package", "db:Status-Status", "Essential", "Priority", "Provides", "Pre-Depends", "Depends")

    def __init__(self, table):
        """table: lines of FIELDS, with a tab between them"""
        self.needs, self.providers, self.smallest = {}, {}, {"apt"}
        for line in table.splitlines():
            name, status, essential, priority, provides, *depends = line.split("\t")
            if status != "installed":
                continue
            self.needs.setdefault(name, []).extend(names(one) for both in depends for one in both.split(",") if one.strip())
            for [provided] in map(names, filter(None, provides.split(","))):
                self.providers.setdefault(provided, set()).add(name)
            if essential == "yes" or priority == "required":
                self.smallest.add(name)

    @classmethod
    def of_this_machine(cls):
        form = "\t".join("${%s}" % field for field in cls.FIELDS) + "\n"
        return cls(subprocess.run(["dpkg-query", "-W", "-f", form], check=True, capture_output=True, text=True).stdout)

    def closure(self, wanted):
        """The packages that are there once those are installed without what they only recommend."""
        absent = [name for name in wanted if name not in self.needs]
        if absent:
            raise SystemExit(f"not installed: {' '.join(absent)}")
        found, pending, virtual = set(), [*self.smallest, *wanted], []
        while pending or virtual:
            if pending:
                name = pending.pop()
                if name not in found and name in self.needs:
                    found.add(name)
                    for choices in self.needs[name]:
                        real = [choice for choice in choices if choice in self.needs]
                        pending.extend(real[:1])
                        virtual.extend([] if real else [choices])
            else:  # of a name that several packages provide, one that is there anyway will do
                providers = set().union(*(self.providers.get(choice, set()) for choice in virtual.pop()))
                pending.extend([] if providers & found else providers)
        return found


def names(field):
    """The packages of "a (>= 1) | b:any"."""
    return [re.match(r"\s*([^\s:(]+)", choice)[1] for choice in field.split("|")]


def files_of(packages):
    listing = subprocess.run(["dpkg-query", "-L", *sorted(packages)], check=True, capture_output=True, text=True).stdout
    return {whole(path) for path in listing.splitlines() if path.startswith("/")}


def whole(path):
    """The path without links among its folders: /bin may be /usr/bin."""
    return os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))


def programs_among(files):
    """{name: path} of the programs in PATH's folders, and of links such as /usr/bin/cc, which belong to no package."""
    found = {path: path for path in files} | dict(alternatives(files))
    return {os.path.basename(link): path for link, path in found.items()
            if os.path.dirname(link) in FOLDERS and os.access(path, os.X_OK) and os.path.isfile(path)}


def alternatives(files):
    """(link, path) of each alternative: the best of those that are among the files, whatever is chosen here."""
    def ask(*words):
        return subprocess.run(["update-alternatives", *words], check=True, capture_output=True, text=True).stdout

    for line in ask("--get-selections").splitlines():
        head, *choices = ask("--query", line.split()[0]).split("\n\n")
        links = dict(re.findall(r"^ (\S+) (\S+)$", head, re.M))
        ranked = []
        for choice in choices:
            value, priority = (re.search(rf"^{word}: (.*)$", choice, re.M)[1] for word in ("Alternative", "Priority"))
            if whole(value) in files:
                ranked.append((int(priority), value, choice))
        if ranked:
            _, value, choice = max(ranked)
            yield whole(re.search(r"^Link: (.*)$", head, re.M)[1]), value
            yield from ((whole(links[name]), path) for name, path in re.findall(r"^ (\S+) (\S+)$", choice, re.M))


def past_path():
    """(file, what) of each program that the build, the tests and lint name by its whole path, and of each PATH of their own."""
    tracked = subprocess.run(["git", "ls-files", "Makefile", ".ci", "openapi", "tests"], cwd=ROOT, check=True, capture_output=True,
                             text=True).stdout
    for name in tracked.splitlines():
        if not name.startswith(ELSEWHERE):
            text = (ROOT / name).read_text(errors="replace")
            yield from ((name, path) for path in PATH_OF_ITS_OWN.findall(text))
            yield from ((name, there) for path in WHOLE_PATH.findall(text) for there in glob.glob(path))


def main(folder, *wanted):
    files = files_of(Packages.of_this_machine().closure(wanted))
    if folder == "--whole-paths":
        for name, path in past_path():
            if whole(path) not in files:
                print(f"{name}: {path}")
        return
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    for name, path in programs_among(files).items():
        os.symlink(path, os.path.join(folder, name))
    print(os.path.abspath(folder))


if __name__ == "__main__":
    main(*sys.argv[1:])
