#include <algorithm>

#include "config/address.hpp"
#include "config/sections.hpp"
#include "config/units.hpp"

namespace rotagate::config {
namespace {

Certificate read_certificate(Reader yaml, const Files& files) {
    Certificate certificate;
    const bool good = yaml.require("cert", certificate.cert, files.certificate(), "cert: FILE.crt");
    const auto belongs_to = good ? certificate.cert : std::filesystem::path();
    yaml.require("key", certificate.key, files.private_key(belongs_to), "key: FILE.key");
    yaml.reject_unknown();
    return certificate;
}

ServerTls read_tls(Reader yaml, const Files& files) {
    ServerTls tls;
    for (Reader& certificate : yaml.maps("certificates"))
        tls.certificates.push_back(read_certificate(certificate, files));
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
    if (auto tls = yaml.map("tls")) listener.tls = read_tls(*tls, files);
    yaml.read("http2", listener.http2);
    yaml.read("proxy_protocol", listener.proxy_protocol);
    yaml.read("redirect_to_https", listener.redirect_to_https);
    check_what_is_there(yaml, listener);
    yaml.reject_unknown();
    return listener;
}

}  // namespace

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
