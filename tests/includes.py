"""Which folder may include which, and that no files include each other in a circle.

    tests/includes.py [ROOT]    prints each include that breaks a rule; exit status 1 if one does
"""
import pathlib
import re
import sys

# In each folder, an include points to the left, never right or to a neighbour in braces. "." is the folder's own files.
ARROWS = {
    "": "clients ← reconcile ← handlers ← server ← tests",
    "clients": "base ← http ← {facts, store} ← {gitea, plane} ← .",
    "clients/store": ". ← {pg, sqlite}",
    "reconcile": "pipeline ← settings ← message ← heal ← {gates, plane, notify} ← sweep ← {holds, readiness} ← {explain, resolve, webhooks}",
}
INCLUDE = re.compile(r'^#\s*include\s+"([^"]+)"', re.M)


def places(arrows):
    """{name: how far to the right it stands}"""
    return {name: at for at, names in enumerate(arrows.split("←")) for name in re.findall(r"[\w.]+", names)}


def part(folder, file):
    """What of the folder the file is in: the name of a folder in it, or "."; None: it is elsewhere."""
    path = pathlib.PurePath(file)
    if not path.is_relative_to(folder):
        return None
    parts = path.relative_to(folder).parts
    return parts[0] if len(parts) > 1 else "."


def no_paths(files):
    for file, included in files.items():
        for target in included:
            if target not in files:
                yield f"{file} includes {target}: not the path of a file from the root"


def wrong_way(files):
    for folder, arrows in ARROWS.items():
        place = places(arrows)
        for file, included in files.items():
            source = part(folder, file)
            if source is not None and source not in place:
                yield f"{file}: {folder or 'the tree'} has no place for {source} ({arrows})"
                continue
            for target in filter(files.__contains__, included):
                name = part(folder, target)
                if None not in (source, name) and source != name and place.get(name, len(place)) >= place[source]:
                    yield f"{file} includes {target}: {arrows}"


def circles(files):
    """One circle for each include that closes one."""
    path, done = [], set()

    def walk(file):
        if file in path:
            yield "circle of includes: " + " → ".join(path[path.index(file):] + [file])
        elif file not in done:
            path.append(file)
            for target in files.get(file, []):
                yield from walk(target)
            done.add(path.pop())

    for file in files:
        yield from walk(file)


def main(root):
    files = {str(path.relative_to(root)): INCLUDE.findall(path.read_text())
             for top in places(ARROWS[""]) for path in sorted((root / top).rglob("*.[ch]"))}
    found = [*no_paths(files), *wrong_way(files), *circles(files)]
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(*sys.argv[1:2])))
