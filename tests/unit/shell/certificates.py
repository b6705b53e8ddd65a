"""Certificates of pods, made by openssl: of an authority that is believed, and of another."""

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

NAME = "triage.shop.svc"


@dataclass(frozen=True, slots=True)
class Authorities:
    """A folder of certificates."""

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> "Authorities":
        made = cls(folder)
        for authority in ("believed", "other"):
            made._key(authority)
            made._openssl("req", "-x509", "-new", "-key", f"{authority}.key", "-days", "2",
                          "-subj", f"/CN={authority}", "-out", f"{authority}.crt")  # fmt: skip
        made._leaf("good", "believed", NAME)
        made._leaf("expired", "believed", NAME, days=-1)
        made._leaf("named-otherwise", "believed", "elsewhere.shop.svc")
        made._leaf("of-another", "other", NAME)
        return made

    def pem(self, name: str) -> str:
        return (self.folder / f"{name}.crt").read_text()

    def server(self, name: str, *alpn: str) -> ssl.SSLContext:
        """What a pod with this certificate listens with."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / f"{name}.crt", self.folder / f"{name}.key")
        if alpn:
            context.set_alpn_protocols(list(alpn))
        return context

    def _leaf(self, name: str, by: str, host: str, days: int = 2) -> None:
        self._key(name)
        self._openssl("req", "-new", "-key", f"{name}.key", "-subj", f"/CN={name}",
                      "-out", f"{name}.csr")  # fmt: skip
        (self.folder / f"{name}.ext").write_text(
            f"subjectAltName=DNS:{host}\nauthorityKeyIdentifier=keyid\n"
            "basicConstraints=critical,CA:FALSE\n"
        )
        self._openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{by}.crt",
                      "-CAkey", f"{by}.key", "-CAcreateserial", "-days", str(days),
                      "-extfile", f"{name}.ext", "-out", f"{name}.crt")  # fmt: skip

    def _key(self, name: str) -> None:
        self._openssl("ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", f"{name}.key")

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)
