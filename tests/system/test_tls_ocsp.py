"""OCSP responses from files, stapled where clients ask for them."""

import subprocess

import pytest
from cryptography.hazmat.primitives import hashes

from harness.certificates import Authority
from harness.check import GOOD, checked
from harness.deadlines import PATIENCE, poll
from harness.tls import Visitor

EXPIRED = {"begins": -7200, "ends": -3600}


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "ocsp-ca")


@pytest.fixture(scope="module")
def stapled(authority):
    return authority.serve("stapled", "stapled.test", "*.stapled.test")


@pytest.fixture(scope="module")
def other(authority):
    return authority.serve("other", "other.test")


def status(site, server_name: str, *options) -> str:
    """What openssl says of the response that it is sent."""
    host, port = site.gateway.address
    shown = subprocess.run(["openssl", "s_client", "-connect", f"{host}:{port}", "-servername", server_name, "-status",
                            *options], input=b"", capture_output=True, timeout=PATIENCE).stdout.decode()
    if "OCSP response: no response sent" in shown:
        return "none"
    assert "OCSP Response Status: successful" in shown, shown
    return next(line.split(":")[1].strip() for line in shown.splitlines() if "Cert Status:" in line)


def site_with(new_site, stapled, other, response):
    return new_site(listen=[{"address": "127.0.0.1:0", "tls": {
        "certificates": [stapled.listed(ocsp=str(response)), other.listed()]}}])


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_a_response_is_stapled_to_its_certificate_only(new_site, authority, stapled, other, tmp_path, version):
    response = tmp_path / "ocsp.der"
    authority.respond(stapled, response)
    site = site_with(new_site, stapled, other, response)
    assert status(site, "stapled.test", version) == status(site, "x.stapled.test", version) == "good"
    assert status(site, "other.test", version) == "none"
    assert Visitor()(site, "stapled.test").response.status == 200, "a client that does not ask is served"


def test_a_file_that_changes_is_read_again_and_what_has_expired_is_not_stapled(new_site, authority, stapled, other, tmp_path):
    response = tmp_path / "ocsp.der"
    authority.respond(stapled, response, **EXPIRED)
    site = site_with(new_site, stapled, other, response)
    assert status(site, "stapled.test") == "none"
    poll(lambda: "tls.ocsp_not_valid" in site.gateway.stderr(), "a warning")
    authority.respond(stapled, response)
    poll(lambda: status(site, "stapled.test") == "good", "the new response")

    for bad in (b"junk", authority.own.cert.read_bytes()):
        before = site.gateway.stderr().count("tls.ocsp_unusable")
        response.write_bytes(bad)
        poll(lambda: site.gateway.stderr().count("tls.ocsp_unusable") > before, "an error")
        assert status(site, "stapled.test") == "good", "the response from before goes on"
    authority.respond(other, response)
    poll(lambda: "about another certificate" in site.gateway.stderr(), "an error")
    authority.respond(stapled, response, **EXPIRED)
    poll(lambda: status(site, "stapled.test") == "none", "nothing stapled")


def check(tmp_path, certificate, response) -> object:
    return checked(tmp_path, GOOD.replace("127.0.0.1:8080\n", f"""127.0.0.1:8080
    tls:
      certificates: [{{ cert: {certificate.cert}, key: {certificate.key},
        ocsp: {response} }}]
"""))


def test_check_looks_into_responses(tmp_path, authority, stapled, other):
    response = tmp_path / "ocsp.der"
    authority.respond(stapled, response)
    good = check(tmp_path, stapled, response)
    assert good.status == 0 and "ocsp" not in good.said
    assert check(tmp_path, other, response).complains("5:15: ", "is about another certificate")
    authority.respond(stapled, response, ends=None, digest=hashes.SHA256())
    assert "ocsp" not in check(tmp_path, stapled, response).said, "without nextUpdate it is good for a day"
    authority.respond(stapled, response, begins=-90_000, ends=None)
    assert "is not valid at this time" in check(tmp_path, stapled, response).said
    authority.respond(stapled, response, begins=3600, ends=7200)
    assert "is not valid at this time" in check(tmp_path, stapled, response).said
    authority.respond(stapled, response, **EXPIRED)
    late = check(tmp_path, stapled, response)
    assert late.status == 0 and "is not valid at this time" in late.said and "(warning)" in late.said
    for bad in (b"junk", b"\x30\x03\x0a\x01\x06", authority.cert.read_bytes()):  # the second: unauthorized
        response.write_bytes(bad)
        assert check(tmp_path, stapled, response).complains("5:15: ", "DER form")


def test_check_warns_of_a_certificate_that_is_revoked(tmp_path, authority):
    lost, response = authority.serve("lost", "lost.test"), tmp_path / "ocsp.der"
    authority.respond(lost, response, revoked=True)
    told = check(tmp_path, lost, response)
    assert told.status == 0 and "is revoked" in told.said
