"""Certificates for the tests, made once per run: each signs itself, so each is its own authority."""

import pathlib
import subprocess
from dataclasses import dataclass


@dataclass(frozen=True)
class Certificate:
    cert: pathlib.Path
    key: pathlib.Path

    def listed(self) -> dict:
        """As the configuration's `certificates` names it."""
        return {"cert": str(self.cert), "key": str(self.key)}


def make_certificate(folder: pathlib.Path, name: str, alternatives: list[str]) -> Certificate:
    made = Certificate(folder / f"{name}.crt", folder / f"{name}.key")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-days", "2", "-subj", f"/CN={name}", "-addext", "subjectAltName=" + ",".join(alternatives),
                    "-keyout", str(made.key), "-out", str(made.cert)], check=True, capture_output=True)
    made.key.chmod(0o600)
    return made


class Certificates:
    def __init__(self, folder: pathlib.Path):
        self.example = make_certificate(folder, "example.test",
                                        ["DNS:example.test", "DNS:localhost", "IP:127.0.0.1"])
        self.api = make_certificate(folder, "api.example.test", ["DNS:api.example.test"])
        self.app = make_certificate(folder, "app.internal", ["DNS:app.internal"])
        self.bundle = folder / "all.crt"  # what a client trusts
        self.bundle.write_bytes(b"".join(made.cert.read_bytes() for made in (self.example, self.api, self.app)))
