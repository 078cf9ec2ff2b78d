"""Certificates for the tests, made once per run: those of the standard gateway sign themselves, so each is its own
authority; others are signed by an Authority."""

import datetime
import pathlib
import subprocess
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp


def openssl(*arguments, **options) -> subprocess.CompletedProcess:
    made = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, **options)
    assert made.returncode == 0, made.stderr.decode()
    return made


@dataclass(frozen=True)
class Certificate:
    cert: pathlib.Path
    key: pathlib.Path

    def listed(self, **settings) -> dict:
        """As the configuration's `certificates` names it."""
        return {"cert": str(self.cert), "key": str(self.key)} | settings


def _new_key(folder: pathlib.Path, name: str) -> Certificate:
    made = Certificate(folder / f"{name}.crt", folder / f"{name}.key")
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-out", made.key)
    made.key.chmod(0o600)
    return made


def make_certificate(folder: pathlib.Path, name: str, alternatives: list[str]) -> Certificate:
    made = _new_key(folder, name)
    openssl("req", "-x509", "-key", made.key, "-days", "2", "-subj", f"/CN={name}",
            "-addext", "subjectAltName=" + ",".join(alternatives), "-out", made.cert)
    return made


class Authority:
    """Signs certificates for servers and clients, and tells by OCSP what it has signed."""

    def __init__(self, folder: pathlib.Path, name: str):
        self.folder, self.name = folder, name
        self.own = _new_key(folder, name)
        openssl("req", "-x509", "-key", self.own.key, "-days", "2", "-subj", f"/CN={name}", "-out", self.own.cert)

    @property
    def cert(self) -> pathlib.Path:
        return self.own.cert

    def sign(self, name: str, subject: str | None = None, alternatives: list[str] | None = None,
             purpose: str = "clientAuth", days: int = 1) -> Certificate:
        """@param subject  "/O=Acme/CN=alice", in UTF-8. @param days  0 and less: it has expired"""
        made = _new_key(self.folder, name)
        request, extensions = made.cert.with_suffix(".csr"), made.cert.with_suffix(".ext")
        openssl("req", "-new", "-utf8", "-key", made.key, "-subj", subject or f"/CN={name}", "-out", request)
        lines = ["extendedKeyUsage=" + purpose]
        if alternatives:
            lines.append("subjectAltName=" + ",".join(alternatives))
        extensions.write_text("\n".join(lines) + "\n")
        openssl("x509", "-req", "-in", request, "-CA", self.cert, "-CAkey", self.own.key, "-days", days,
                "-extfile", extensions, "-out", made.cert)
        return made

    def serve(self, name: str, *names: str, days: int = 1) -> Certificate:
        """A server's certificate for DNS names."""
        return self.sign(name, alternatives=[f"DNS:{dns}" for dns in names], purpose="serverAuth", days=days)

    def respond(self, certificate: Certificate, response: pathlib.Path, begins: float = -60, ends: float | None = 3600,
                revoked: bool = False, digest=hashes.SHA1()) -> None:
        """Writes an OCSP response about a certificate, in one step.

        @param begins, ends  seconds from now; None: without nextUpdate. @param digest  of the issuer's name"""
        now = datetime.datetime.utcnow()
        issuer = x509.load_pem_x509_certificate(self.cert.read_bytes())
        key = serialization.load_pem_private_key(self.own.key.read_bytes(), None)
        built = ocsp.OCSPResponseBuilder().add_response(
            cert=x509.load_pem_x509_certificate(certificate.cert.read_bytes()), issuer=issuer, algorithm=digest,
            cert_status=ocsp.OCSPCertStatus.REVOKED if revoked else ocsp.OCSPCertStatus.GOOD,
            this_update=now + datetime.timedelta(seconds=begins),
            next_update=None if ends is None else now + datetime.timedelta(seconds=ends),
            revocation_time=now if revoked else None, revocation_reason=None,
        ).responder_id(ocsp.OCSPResponderEncoding.HASH, issuer).sign(key, hashes.SHA256())
        fresh = response.with_suffix(".new")
        fresh.write_bytes(built.public_bytes(serialization.Encoding.DER))
        fresh.rename(response)


class Certificates:
    def __init__(self, folder: pathlib.Path):
        self.example = make_certificate(folder, "example.test",
                                        ["DNS:example.test", "DNS:localhost", "IP:127.0.0.1"])
        self.api = make_certificate(folder, "api.example.test", ["DNS:api.example.test"])
        self.app = make_certificate(folder, "app.internal", ["DNS:app.internal"])
        self.bundle = folder / "all.crt"  # what a client trusts
        self.bundle.write_bytes(b"".join(made.cert.read_bytes() for made in (self.example, self.api, self.app)))
