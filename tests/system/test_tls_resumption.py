"""Session tickets: whose keys seal them, and what a session is never resumed for (SECURITY.md T2, P3)."""

import itertools
import os
import shutil
import subprocess

import pytest

from harness.certificates import Authority
from harness.check import GOOD, checked
from harness.deadlines import PATIENCE, poll, wait_for_protocol_time
from harness.gateway import rotagate
from harness.tls import VERSIONS, Visitor, refused

versions = pytest.mark.parametrize("version", VERSIONS, ids=["1.2", "1.3"])


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "hosts-ca")


@pytest.fixture(scope="module")
def clients(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("clients"), "clients-ca")


@pytest.fixture(scope="module")
def hosts(module_sites, authority, clients):
    """Two hosts of one certificate, hosts by a wildcard, and one that requires certificates of clients."""
    both = authority.serve("both", "a.hosts.test", "b.hosts.test", "*.wild.test")
    guarded = authority.serve("guarded", "guarded.test")
    return module_sites(threads=2, listen=[{"address": "127.0.0.1:0", "tls": {"certificates": [
        both.listed(), guarded.listed(client_ca=str(clients.cert))]}}])


def ticket_key(folder, name: str = "ticket.key"):
    file = folder / name
    file.unlink(missing_ok=True)
    made = rotagate("keygen", "--ticket", "--out", file)
    assert made.returncode == 0, made.stderr
    return file


def resumes(visitor: Visitor, site, ticket, server_name: str = "example.test") -> bool:
    return visitor(site, server_name, ticket=ticket).resumed


# ---- what it is bound to --------------------------------------------------------------------------------------------

@versions
@pytest.mark.parametrize("name", ["a.hosts.test", "x.wild.test", "unknown.test", None])
def test_a_session_is_resumed_for_the_same_host_on_any_thread(hosts, version, name):
    visitor = Visitor(version=version)
    first = visitor(hosts, name)
    assert not first.resumed
    for _ in range(8):  # which meets both threads
        assert visitor(hosts, name, ticket=first.ticket).resumed


def test_each_resumption_brings_the_next_ticket(hosts):
    """RFC 8446 appendix C.4: tickets that are used twice tell who listens that it is one client."""
    visitor = Visitor(version=VERSIONS[1])
    visits = [visitor(hosts, "a.hosts.test")]
    for _ in range(4):
        visits.append(visitor(hosts, "a.hosts.test", ticket=visits[-1].ticket))
    assert [visit.resumed for visit in visits] == [False, True, True, True, True]
    assert len({visit.ticket.id for visit in visits}) == 5


@versions
@pytest.mark.parametrize("first, then", [pair for pair in itertools.permutations(
    ["a.hosts.test", "b.hosts.test", "x.wild.test", "y.wild.test", "unknown.test", None], 2)],
    ids=lambda name: f"T2-{name}")
def test_a_session_is_never_resumed_for_another_host(hosts, version, first, then):
    """Even where the certificate is the same: else what was agreed for one host would count for the other."""
    visitor = Visitor(version=version)
    ticket = visitor(hosts, first).ticket
    second = visitor(hosts, then, ticket=ticket)
    assert not second.resumed and second.response.status == 200


@versions
def test_the_letter_case_of_a_host_does_not_matter(hosts, version):
    visitor = Visitor(version=version)
    assert resumes(visitor, hosts, visitor(hosts, "a.hosts.test").ticket, "A.Hosts.TEST")


@versions
def test_a_session_does_not_open_a_host_that_requires_a_certificate(hosts, version):
    """T2, P3"""
    visitor = Visitor(version=version)
    for name in ("a.hosts.test", "unknown.test", None):
        ticket = visitor(hosts, name).ticket
        assert refused(lambda: visitor(hosts, "guarded.test", ticket=ticket))
    assert not [request for request in hosts.requests() if request.one("Host") == "guarded.test"]


@versions
def test_a_session_with_a_certificate_stands_for_it_and_for_nothing_else(hosts, clients, version):
    alice = clients.sign(f"alice-{version.name}", "/O=Acme/CN=alice")
    visitor, stranger = Visitor(version=version, certificate=alice), Visitor(version=version)
    first = visitor(hosts, "guarded.test")
    again = visitor(hosts, "guarded.test", ticket=first.ticket)
    assert again.resumed
    subjects = [[value for name, value in visit.response.json()["headers"] if name == "X-Client-Cert-Subject"]
                for visit in (first, again)]
    assert subjects == [["CN=alice,O=Acme"]] * 2
    elsewhere = visitor(hosts, "a.hosts.test", ticket=again.ticket)
    assert not elsewhere.resumed
    assert "X-Client-Cert-Subject" not in dict(elsewhere.response.json()["headers"])
    assert refused(lambda: stranger(hosts, "guarded.test"))


# ---- keys -----------------------------------------------------------------------------------------------------------

@versions
def test_random_keys_rotate_and_old_tickets_die(new_site, version):
    """T2: a ticket is opened while its key or the one before seals, and refused after the second rotation."""
    site = new_site(tls_tickets={"rotation": "2s"})
    visitor = Visitor(version=version)
    old = visitor(site, "example.test").ticket
    assert resumes(visitor, site, old)
    wait_for_protocol_time(5.5)  # two rotations and a look
    assert not resumes(visitor, site, old)
    assert resumes(visitor, site, visitor(site, "example.test").ticket)


@versions
def test_another_process_has_other_random_keys(new_site, site, version):
    visitor = Visitor(version=version)
    assert not resumes(visitor, new_site(), visitor(site, "example.test").ticket)


@versions
def test_gateways_share_keys_by_file(new_site, tmp_path, version):
    """T2: the first seals, all open."""
    old, new = ticket_key(tmp_path, "old.key"), ticket_key(tmp_path, "new.key")
    before = new_site(tls_tickets={"key_files": [str(old)]})
    after = new_site(tls_tickets={"key_files": [str(new), str(old)]})
    stranger = new_site(tls_tickets={"key_files": [str(ticket_key(tmp_path, "other.key"))]})
    visitor = Visitor(version=version)
    by_old, by_new = visitor(before, "example.test").ticket, visitor(after, "example.test").ticket
    assert resumes(visitor, after, by_old) and resumes(visitor, after, by_new) and resumes(visitor, before, by_old)
    assert not resumes(visitor, before, by_new)
    assert not resumes(visitor, stranger, by_old)
    before.restart()
    assert resumes(visitor, before, by_old), "keys from files survive a restart"


def test_a_key_file_that_changes_is_read_again(new_site, tmp_path):
    key = ticket_key(tmp_path)
    site = new_site(tls_tickets={"key_files": [str(key)]})
    visitor = Visitor()
    ticket = visitor(site, "example.test").ticket
    assert resumes(visitor, site, ticket)
    kept = shutil.copy2(key, tmp_path / "kept.key")
    os.replace(ticket_key(tmp_path, "next.key"), key)
    poll(lambda: not resumes(visitor, site, ticket), "the new key in use")

    key.write_bytes(b"too short")
    poll(lambda: "tls.ticket_keys_unusable" in site.gateway.stderr(), "a word about the bad key")
    assert resumes(visitor, site, visitor(site, "example.test").ticket), "the keys from before stay"
    shutil.copy2(kept, key)
    poll(lambda: resumes(visitor, site, ticket), "the first key in use again")


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_openssl_sees_the_same(hosts, tmp_path, version):
    host, port = hosts.gateway.address
    session = tmp_path / "session"

    def s_client(server_name: str, *options) -> str:
        asked = f"GET /public/x HTTP/1.1\r\nHost: {server_name}\r\nConnection: close\r\n\r\n".encode()
        return subprocess.run(["openssl", "s_client", "-connect", f"{host}:{port}", "-servername", server_name, version,
                               "-ign_eof", *options], input=asked, capture_output=True, timeout=PATIENCE).stdout.decode()

    s_client("a.hosts.test", "-sess_out", session)
    assert "Reused, TLSv1" in s_client("a.hosts.test", "-sess_in", session)
    assert "New, TLSv1" in s_client("b.hosts.test", "-sess_in", session)


# ---- the configuration ----------------------------------------------------------------------------------------------

def test_keygen_makes_a_ticket_key(tmp_path):
    key = ticket_key(tmp_path)
    assert len(key.read_bytes()) == 80 and key.stat().st_mode & 0o777 == 0o600
    assert key.read_bytes() != ticket_key(tmp_path, "second.key").read_bytes()
    assert rotagate("keygen", "--ticket", "--out", key).returncode == 1, "never over an existing one"
    assert rotagate("keygen", "--ticket").returncode == 2


@pytest.mark.parametrize("content, mode, what", [
    (b"x" * 80, 0o644, "chmod 600"), (b"x" * 48, 0o600, "80 random bytes"), (b"x" * 81, 0o600, "80 random bytes"),
    (b"", 0o600, "empty"), (None, 0o600, "cannot be found"),
], ids=["others-may-read", "nginx-48", "81-bytes", "empty", "none"])
def test_check_refuses_a_ticket_key_that_cannot_be_used(tmp_path, content, mode, what):
    key = tmp_path / "ticket.key"
    if content is not None:
        key.write_bytes(content)
        key.chmod(mode)
    assert checked(tmp_path, GOOD + "tls_tickets: { key_files: [ticket.key] }\n").complains("8:28: ", what)


@pytest.mark.parametrize("settings, where, what", [
    ("{ rotation: 25h }", "8:26: ", "write 1s to 1d"), ("{ rotation: 0s }", "8:26: ", "write 1s to 1d"),
    ("{ key_files: [a.key], rotation: 1h }", "8:", "remove one"),
    ("{ key_files: [a.key, a.key] }", "8:", "listed twice"), ("{ keys: [] }", "8:16: ", "not a known key"),
])
def test_check_refuses_settings_that_cannot_be(tmp_path, settings, where, what):
    ticket_key(tmp_path, "a.key")
    assert checked(tmp_path, GOOD + f"tls_tickets: {settings}\n").complains(where, what)
