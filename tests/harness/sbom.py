"""What an image of ours is made of, as a CycloneDX document.

The same inputs give the same bytes: no time, and a serial number made of the content.
"""

import json
import tarfile
import uuid
from collections.abc import Iterator
from email.parser import HeaderParser
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL

_STATUS = "var/lib/dpkg/status"


def of_image(name: str, version: str, packages: Path, base: Path) -> str:
    """Its Python packages, by the folder of them, and the Debian packages of the base's archive."""
    bom = Bom()
    bom.metadata.component = Component(
        name=name, version=version, type=ComponentType.CONTAINER, bom_ref=name
    )
    parts = [*_python(packages), *_debian(_status(base))]
    bom.components.update(parts)
    bom.register_dependency(bom.metadata.component, parts)
    written = make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string()
    document = json.loads(written)
    del document["metadata"]["timestamp"]
    del document["serialNumber"]
    content = json.dumps(document, sort_keys=True)
    document["serialNumber"] = uuid.uuid5(uuid.NAMESPACE_OID, content).urn
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


def _python(packages: Path) -> Iterator[Component]:
    """Each package by what it says of itself."""
    licenses = LicenseFactory()
    for path in sorted(packages.glob("*.dist-info/METADATA")):
        told = HeaderParser().parsestr(path.read_text())
        name, version, terms = told["Name"], told["Version"], told["License-Expression"]
        yield Component(
            name=name,
            version=version,
            type=ComponentType.LIBRARY,
            purl=PackageURL("pypi", name=name, version=version),
            licenses=[licenses.make_from_string(terms)] if terms else [],
            bom_ref=f"pypi/{name}",
        )


def _debian(status: str) -> Iterator[Component]:
    for paragraph in status.split("\n\n"):
        told = HeaderParser().parsestr(paragraph)
        name, version = told["Package"], told["Version"]
        if name and "installed" in (told["Status"] or "").split():
            yield Component(
                name=name,
                version=version,
                type=ComponentType.LIBRARY,
                purl=PackageURL("deb", "debian", name, version, {"arch": told["Architecture"]}),
                bom_ref=f"deb/{name}",
            )


def _status(archive: Path) -> str:
    """Dpkg's own list, from the one layer of the base."""
    with tarfile.open(archive) as tar:
        layer = next(each for each in tar if each.name.endswith(".tar") and each.isfile())
        with tarfile.open(fileobj=tar.extractfile(layer)) as files:
            found = next(each for each in files if each.name.removeprefix("./") == _STATUS)
            file = files.extractfile(found)
            assert file is not None
            return file.read().decode()
