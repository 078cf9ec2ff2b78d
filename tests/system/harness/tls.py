"""Visits over TLS that look at the handshake itself, and at what it was resumed from."""

import ssl
from dataclasses import dataclass

from harness import http1
from harness.client import connect

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@dataclass
class Visit:
    response: http1.Response
    resumed: bool
    ticket: ssl.SSLSession  # for the next visit of the same visitor
    common_name: str        # of the gateway's certificate


def refused(attempt) -> bool:
    """Whether the gateway ends the handshake, or, as TLS 1.3 may have it, whatever is read behind it."""
    try:
        attempt()
    except (OSError, http1.Closed):
        return True
    return False


class Visitor:
    """A client that may resume its sessions: all of its visits share what TLS remembers."""

    def __init__(self, trust=None, version: ssl.TLSVersion | None = None, certificate=None):
        """@param trust  the authorities' file; none: whatever is shown. @param certificate  the client's own"""
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.context.check_hostname = False
        self.context.verify_mode = ssl.CERT_REQUIRED if trust else ssl.CERT_NONE
        if trust:
            self.context.load_verify_locations(str(trust))
        if version:
            self.context.minimum_version = self.context.maximum_version = version
        if certificate:
            self.context.load_cert_chain(certificate.cert, certificate.key)

    def __call__(self, site, server_name: str | None, host: str | None = None, ticket=None, target: str = "/public/x",
                 headers=None, listener: int = 0) -> Visit:
        """Sends one request. @param server_name  for SNI; none: without. @param host  another than that name"""
        sock = connect(site.gateway.endpoint(listener))
        with self.context.wrap_socket(sock, server_hostname=server_name, session=ticket) as tls:
            tls.sendall(http1.request_bytes("GET", target, headers, host=host or server_name or "unknown.test"))
            response = http1.read_response(http1.Reader(tls))  # TLS 1.3 sends its tickets before
            shown = tls.getpeercert() if self.context.verify_mode == ssl.CERT_REQUIRED else None
            names = dict(pair for names in (shown or {}).get("subject", ()) for pair in names)
            return Visit(response, tls.session_reused, tls.session, names.get("commonName", ""))
