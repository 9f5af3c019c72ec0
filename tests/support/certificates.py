"""A certificate authority of our own, made by the openssl command, and certificates for hosts that there are not."""

from __future__ import annotations

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Authority:
    """`root` is what a client must trust."""

    folder: Path

    @property
    def root(self) -> Path:
        return self.folder / "root.pem"

    def server(self, *hosts: str) -> ssl.SSLContext:
        """The server's side for these names."""
        key, request, certificate = (self.folder / f"{hosts[0]}.{kind}" for kind in ("key", "csr", "pem"))
        names = self.folder / f"{hosts[0]}.ext"
        names.write_text("subjectAltName=" + ",".join(f"DNS:{host}" for host in hosts))
        _openssl("req", "-new", *_KEY, "-subj", f"/CN={hosts[0]}", "-keyout", key, "-out", request)
        signed = ("-CA", self.root, "-CAkey", self.folder / "root.key", "-CAcreateserial", "-days", "2")
        _openssl("x509", "-req", "-in", request, *signed, "-extfile", names, "-out", certificate)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        return context

    def client(self) -> ssl.SSLContext:
        """A client's side that trusts this authority and no other."""
        return ssl.create_default_context(cafile=self.root)


_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def authority(folder: Path) -> Authority:
    made = Authority(folder)
    _openssl(
        *("req", "-x509", *_KEY, "-days", "2", "-subj", "/CN=Looksee's tests"),
        *("-addext", "keyUsage=critical,keyCertSign", "-keyout", folder / "root.key", "-out", made.root),
    )
    return made


def _openssl(*words: str | Path) -> None:
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)
