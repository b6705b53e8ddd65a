"""Writes the CRDs into a folder, or tells whether they are what the models say."""

import argparse
import sys
from pathlib import Path
from typing import Final

import yaml
from typing_extensions import override

from belay.api.crd.kinds import KINDS

_HEADER: Final = "# Generated from operator/belay/api by `make crds`; edits here are lost.\n"


class _Dumper(yaml.SafeDumper):
    """Repeats what is equal: anchors and aliases are for machines."""

    @override
    def ignore_aliases(self, data: object) -> bool:
        return True


def rendered() -> dict[str, str]:
    """File name to text, for every CRD. Raises SchemaError."""
    return {
        kind.file_name: _HEADER
        + yaml.dump(kind.definition(), Dumper=_Dumper, sort_keys=False, width=100)
        for kind in KINDS
    }


def main(argv: list[str] | None = None) -> int:
    """The exit code: 1 when `--check` finds a difference, or the folder is not there."""
    parser = argparse.ArgumentParser(prog="python -m belay.api.crd", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; 1 when a file differs")
    parser.add_argument("folder", nargs="?", type=Path, default=Path("crds"))
    options = parser.parse_args(argv)
    folder: Path = options.folder
    if not folder.is_dir():
        return _complain(f"{folder}: no such folder; run this at the root of the repository")
    texts = {folder / name: text for name, text in rendered().items()}
    if options.check:
        return max(map(_differs, texts, texts.values()))
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
    return 0


def _differs(path: Path, text: str) -> int:
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return 0
    return _complain(f"{path}: differs from the models; run `make crds` and commit it")


def _complain(line: str) -> int:
    sys.stderr.write(f"{line}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
