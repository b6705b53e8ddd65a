"""Copy Debian's Python and the packages that it cannot do without into an empty folder.

Run inside the base, which has all of them installed. Neither a shell nor a package manager is among
them: what installs packages (`_SETTING_UP`) is followed by nothing that runs.
"""

import compileall
import os
import py_compile
import re
import shutil
import sys
from pathlib import Path

_WANTED = ("python3", "base-files", "libstdc++6")
"""libstdc++6 is for wheels, which bring no copy of it."""
_SETTING_UP = frozenset({"debconf", "dpkg", "mailcap", "mawk", "perl-base"})
_MADE_BY_SCRIPTS = ("etc/passwd", "etc/group", "etc/nsswitch.conf")
_DPKG = Path("/var/lib/dpkg")


def main(root: Path) -> None:
    """Fill `root`."""
    known = _known()
    kept = _closure(known)
    for name in kept:
        for path in _files(name):
            _copy(path, root)
    for each in _MADE_BY_SCRIPTS:
        _copy(Path("/", each), root)
    for link in Path("/").iterdir():
        if link.is_symlink():
            _copy(link, root)
    status = root / "var/lib/dpkg/status"
    status.parent.mkdir(parents=True, exist_ok=True)
    status.write_text("\n\n".join(known[name] for name in kept) + "\n")
    unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
    library = root / os.__file__.lstrip("/")
    compileall.compile_dir(
        library.parent, quiet=1, stripdir=str(root), prependdir="/", invalidation_mode=unchecked
    )


def _known() -> dict[str, str]:
    """What dpkg says of each package, by its name."""
    paragraphs = (_DPKG / "status").read_text().strip().split("\n\n")
    return {paragraph.partition("\n")[0].split()[1]: paragraph for paragraph in paragraphs}


def _closure(known: dict[str, str]) -> list[str]:
    found: set[str] = set()
    left = list(_WANTED)
    while left:
        name = left.pop()
        if name in known and name not in found | _SETTING_UP:
            found.add(name)
            left += re.findall(
                r"(?<=[ |])[a-z0-9][a-z0-9+.-]+",
                " ".join(re.findall(r"^(?:Pre-)?Depends:(.*)$", known[name], re.MULTILINE)),
            )
    return sorted(found)


def _files(name: str) -> list[Path]:
    (listed,) = [*_DPKG.glob(f"info/{name}.list"), *_DPKG.glob(f"info/{name}:*.list")]
    return [Path(line) for line in listed.read_text().split("\n") if line not in ("", "/.")]


def _copy(path: Path, root: Path) -> None:
    """Put it where it really is: Debian's /lib is a link to /usr/lib."""
    if not os.path.lexists(path):
        return
    real = Path(os.path.realpath(path.parent), path.name)
    to = root / str(real).lstrip("/")
    if path.is_dir() and not path.is_symlink():
        to.mkdir(parents=True, exist_ok=True)
        shutil.copymode(path, to)
    elif not os.path.lexists(to):
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, to, follow_symlinks=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
