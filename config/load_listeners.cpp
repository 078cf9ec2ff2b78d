#include <algorithm>
#include <map>
#include <set>

#include "config/address.hpp"
#include "config/sections.hpp"
#include "config/units.hpp"

namespace rotagate::config {
namespace {

enum class Ask { none, optional, required };

/// What is asked of clients: for one certificate, or of a listener for all of its certificates.
/// @param above  of the listener, for what a certificate leaves out
std::optional<ClientCertificates> read_clients(Reader& yaml, const std::optional<ClientCertificates>& above,
                                               const Files& files) {
    std::optional<ClientCertificates> clients = above;
    if (std::filesystem::path ca; yaml.read("client_ca", ca, files.authorities())) {
        clients = ClientCertificates{ca, true};
    } else if (yaml.has("client_ca")) {
        clients = ClientCertificates{};  // a mistake of its own
    }
    Ask ask = clients && !clients->required ? Ask::optional : Ask::required;
    yaml.read("client_certificate", ask,
              one_of<Ask>({{"none", Ask::none}, {"optional", Ask::optional}, {"required", Ask::required}}));
    if (!yaml.has("client_certificate")) return clients;
    if (ask == Ask::none) {
        if (yaml.has("client_ca"))
            yaml.error("client_ca", "verifies certificates that client_certificate: none asks nobody for; remove one");
        return std::nullopt;
    }
    if (!clients) yaml.missing("client_ca", "client_ca: FILE.crt, with the authorities that sign them");
    if (clients) clients->required = ask == Ask::required;
    return clients;
}

/// Tells what an operator should know of a file that can be used.
void warn_of(Reader& yaml, std::string_view key, const std::filesystem::path& file, const Inspector& inspector,
             const Files& files) {
    if (!files.check || !inspector) return;
    if (const std::string what = inspector(file); !what.empty())
        yaml.warning(key, in_quotes(file.string()) + " " + what);
}

Certificate read_certificate(Reader yaml, const std::optional<ClientCertificates>& clients, const Files& files) {
    Certificate certificate;
    const bool good = yaml.require("cert", certificate.cert, files.certificate(), "cert: FILE.crt");
    const auto belongs_to = good ? certificate.cert : std::filesystem::path();
    if (good) warn_of(yaml, "cert", certificate.cert, files.inspectors.certificate_warning, files);
    yaml.require("key", certificate.key, files.private_key(belongs_to), "key: FILE.key");
    if (yaml.read("ocsp", certificate.ocsp, files.ocsp(belongs_to)))
        warn_of(yaml, "ocsp", certificate.ocsp, files.inspectors.ocsp_warning, files);
    certificate.clients = read_clients(yaml, clients, files);
    yaml.reject_unknown();
    return certificate;
}

/// Which of a listener's certificates has a name: the first that is for it.
struct Owner {
    int line;
    std::optional<ClientCertificates> clients;
};
using Owners = std::map<std::string, Owner>;

/// Tells of names that an earlier certificate serves, so that this one is never served for them, nor what it asks of
/// clients.
void check_names(Reader& yaml, const Certificate& certificate, bool is_default, const Files& files, Owners& owners) {
    if (!files.check || !files.inspectors.certificate_names || certificate.cert.empty()) return;
    const std::string file = in_quotes(certificate.cert.string());
    bool served = is_default;
    for (const std::string& name : files.inspectors.certificate_names(certificate.cert)) {
        const auto [owner, fresh] = owners.try_emplace(name, Owner{yaml.position("cert").line, certificate.clients});
        served = served || fresh;
        if (fresh || !certificate.clients || owner->second.clients == certificate.clients) continue;
        std::string message = file;
        message.append(" is for ").append(name).append(" like the certificate on line ");
        message.append(std::to_string(owner->second.line));
        message.append(", which is served first and does not ask the same of clients; keep one of the two");
        return yaml.error("cert", message);
    }
    if (served) return;
    const std::string message =
        file +
        " is never served: it has no host name (subjectAltName) that no certificate before it has; remove one of "
        "them";
    certificate.clients ? yaml.error("cert", message) : yaml.warning("cert", message);
}

ServerTls read_server_tls(Reader yaml, const Files& files) {
    ServerTls tls;
    const auto clients = read_clients(yaml, std::nullopt, files);
    Owners owners;
    for (Reader& certificate : yaml.maps("certificates")) {
        tls.certificates.push_back(read_certificate(certificate, clients, files));
        check_names(certificate, tls.certificates.back(), tls.certificates.size() == 1, files, owners);
    }
    if (!yaml.has("certificates") || tls.certificates.empty())
        yaml.missing("certificates", "certificates: with a line \"- { cert: FILE.crt, key: FILE.key }\"");
    yaml.read("min_version", tls.min_version,
              one_of<TlsVersion>({{"1.2", TlsVersion::tls1_2}, {"1.3", TlsVersion::tls1_3}}));
    yaml.reject_unknown();
    return tls;
}

void check_what_is_there(Reader& yaml, const Listener& listener) {
    if (listener.redirect_to_https && listener.tls)
        yaml.error("redirect_to_https", "clients of a listener with tls are on https already; remove one of the two");
}

Listener read_listener(Reader yaml, const Files& files) {
    Listener listener;
    yaml.require("address", listener.address, listen_address, "address: 0.0.0.0:8443");
    if (auto tls = yaml.map("tls")) listener.tls = read_server_tls(*tls, files);
    yaml.read("http2", listener.http2);
    yaml.read("proxy_protocol", listener.proxy_protocol);
    yaml.read("redirect_to_https", listener.redirect_to_https);
    check_what_is_there(yaml, listener);
    yaml.reject_unknown();
    return listener;
}

}  // namespace

TlsTickets read_tls_tickets(Reader yaml, const Files& files) {
    TlsTickets tickets;
    yaml.read_list("key_files", tickets.key_files, files.ticket_key());
    yaml.read("rotation", tickets.rotation, between(1s, 24h));
    if (!tickets.key_files.empty() && yaml.has("rotation"))
        yaml.error("rotation", "is for random keys; with key_files keys rotate when the files change: remove one");
    std::set<std::filesystem::path> listed;
    for (const auto& file : tickets.key_files)
        if (!listed.insert(file).second)
            yaml.error("key_files", in_quotes(file.string()) + " is listed twice; keep one");
    yaml.reject_unknown();
    return tickets;
}

std::vector<Listener> read_listeners(Reader& root, const Files& files) {
    std::vector<Listener> listeners;
    std::map<std::string, std::string> lines;  // of the addresses so far
    for (Reader& yaml : root.maps("listen")) {
        listeners.push_back(read_listener(yaml, files));
        const Address& address = listeners.back().address;
        if (address.port == 0) continue;  // free ports differ
        const auto [first, fresh] = lines.try_emplace(address.text(), std::to_string(yaml.position("address").line));
        if (!fresh)
            yaml.error("address", address.text() + " is taken on line " + first->second + "; write another one");
    }
    if (!root.has("listen") || root.is_empty("listen"))
        root.missing("listen", "listen: with a line \"- address: 0.0.0.0:8443\" and its tls");
    return listeners;
}

}  // namespace rotagate::config
