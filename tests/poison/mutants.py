"""Hostile values in any place of a Workflow or a revision, by a seed."""

import base64
import contextlib
import copy
import gzip
import hashlib
from collections.abc import Iterator
from random import Random
from typing import Any, Final

from tests.integration.crds import samples

from belay.api.revision import Format
from belay.core.revisions.canonical import digest
from belay.core.revisions.read import parse

Object = dict[str, Any]
Path = tuple[str | int, ...]
HOSTILE: Final[tuple[Any, ...]] = (
    *(
        None,
        "",
        " ",
        "a\n",
        "v1\n",
        "v1 ",
        "V1",
        "é",
        "\u202ev1",
        "\x00",
        "\ud7ff",
        "x" * 300,
        "x" * 5000,
    ),
    *(
        "-",
        ".",
        "..",
        "../../etc",
        "/",
        "//",
        "/etc/belay/",
        "/etc/belay/../..",
        "$(HOME)",
        "{{ x }}",
    ),
    *(
        "1s",
        "0s",
        "1s\n",
        "-1s",
        "1e3s",
        "٣s",
        "0.5s",
        "99999999h",
        "24h",
        "24h1s",
        "1ms",
        "1h1h",
        "s",
    ),
    *(
        "http",
        "0",
        "65536",
        "Pod",
        "None",
        "Hold",
        "Rollout",
        "v1.2",
        "v1..2",
        "sha256:" + "0" * 64,
    ),
    *(0, -1, 1, 2, 65535, 65536, 2**31, 2**53 + 1, 2**63 - 1, 0.5, 1e308, True, False),
    *([], {}, [[]], [None], [{}], {"": ""}, {"a": None}, [1, "1"], ["http", "http"], {"port": 1}),
)
_DEEP: Final = "[" * 5000
DEFINITIONS: Final = (
    b"",
    b"{",
    b"{}",
    b"null",
    b'"x"',
    b"\xff\xfe",
    b"\x00",
    b"a: &a [*a]\n",
    b"a: &a [x]\nb: [" + b"*a," * 20_000 + b"]",
    _DEEP.encode(),
    b'{"a":' * 3000 + b"1" + b"}" * 3000,
    b"!!python/object/apply:os.system [ls]",
    b"a: 1\na: 2\n",
    b"? {a: b}\n: c\n",
    b"1e999",
    b'{"n": 1e400}',
    b"9" * 6000,
    b"2001-01-01: x\n",
    b"--- 1\n--- 2\n",
    b"\xef\xbb\xbf{}",
    b"app: {mode: workflow}\nkind: app\nworkflow: {graph: {nodes: 7, edges: {}}}\n",
    b"#" * 950_000,
)


def workflow() -> Object:
    """One with most of what a Workflow may say."""
    checks = [
        samples.check(at=["Preview", "Gate", "Observation"], period="200ms", timeout="1s"),
        {"name": "grpc", "grpc": {"port": 9090, "service": "x"}, "failureThreshold": 2},
        {"name": "exec", "exec": {"command": ["true"]}, "successThreshold": 1},
    ]
    return samples.workflow(
        verification={"preview": "Pod", "checks": checks, "window": "10s", "steady": {}},
        onFailure="Revert",
        deadlines={"deliver": "5m", "verify": "1m"},
        revisionHistoryLimit=3,
        instances={
            "resources": [{"kind": "Job", "selector": {"matchLabels": {"app": "x"}}}],
            "onPauseTimeout": "Proceed",
        },
    )


def workflows(random: Random) -> Iterator[Object]:
    """Ever more of them: one to three places are made wrong."""
    while True:
        yield _mutant(random, workflow() if random.random() < 0.7 else samples.workflow())


def revisions(random: Random) -> Iterator[Object]:
    """Ever more of them: hostile definitions, under right digests of theirs or under wrong ones."""
    while True:
        body = samples.full_revision() if random.random() < 0.3 else samples.revision()
        if random.random() < 0.6:
            _define(random, body["spec"])
        yield _mutant(random, body) if random.random() < 0.6 else body


def _define(random: Random, spec: Object) -> None:
    content = random.choice(DEFINITIONS)
    if random.random() < 0.3:
        place = random.randrange(len(content) + 1)
        content = content[:place] + random.randbytes(3) + content[place:]
    spec["format"] = random.choice(("DifyDSL", "YAML", "JSON"))
    if random.random() < 0.5:
        packed = gzip.compress(content, mtime=0)
        packed = packed[: random.choice((len(packed), len(packed) // 2))]
        spec |= {"encoding": "Gzip", "definition": base64.b64encode(packed).decode()}
    else:
        spec |= {"encoding": "Identity", "definition": content.decode(errors="replace")}
    spec["contentDigest"] = f"sha256:{hashlib.sha256(content).hexdigest()}"
    with contextlib.suppress(Exception):  # what cannot be read has no right digest
        form = Format(spec["format"])
        spec["digest"] = digest(form, parse(content, form).value)


def _mutant(random: Random, body: Object) -> Object:
    body = copy.deepcopy(body)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        if not (paths := list(_paths(body["spec"]))):
            break
        _spoil(random, body["spec"], random.choice(paths), paths)
    return body


def _paths(found: Any, at: Path = ()) -> Iterator[Path]:
    members: Any = ()
    if isinstance(found, dict):
        members = found.items()
    elif isinstance(found, list):
        members = enumerate(found)
    for key, value in members:
        yield (*at, key)
        yield from _paths(value, (*at, key))


def _spoil(random: Random, spec: Object, path: Path, paths: list[Path]) -> None:
    holder: Any = spec
    for step in path[:-1]:
        holder = holder[step]
    last: Any = path[-1]
    match random.randrange(9):
        case 0:
            del holder[last]
        case 1 if isinstance(holder, list):
            holder.extend(copy.deepcopy(holder[last]) for _ in range(random.choice((1, 40))))
        case 2 if isinstance(holder, dict):
            holder[random.choice(("x", "port", "name", "at", ""))] = copy.deepcopy(
                random.choice(HOSTILE)
            )
        case 3:
            other: Any = spec
            for step in random.choice(paths):
                other = other[step]
            holder[last] = copy.deepcopy(other)
        case 4 | 5:
            holder[last] = copy.deepcopy(random.choice(HOSTILE))
        case _:
            holder[last] = _edge(random, holder[last])


def _edge(random: Random, value: Any) -> Any:
    """Of the same kind, at the edge of what is meant; most are valid."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return random.choice((0, 1, 2, 10, 100, 101, 3600, 65535))
    if isinstance(value, str) and value[:1].isdigit():
        return random.choice(("1ms", "10ms", "1s", "59s", "1m", "1h", "23h59m", "24h", "0s"))
    if isinstance(value, str):
        return random.choice((value + "-x", "a" * 40, "a-1", "v2", value.upper(), value.lower()))
    return value
