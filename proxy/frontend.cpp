#include "proxy/frontend.hpp"

#include <algorithm>
#include <charconv>

#include <boost/system/errc.hpp>

#include "proxy/grammar.hpp"
#include "proxy/pipeline.hpp"

namespace rotagate::proxy {
namespace {

using namespace std::chrono_literals;

// What takes no longer than this to relay may end after its session has.
constexpr std::chrono::milliseconds long_relay = 500ms;

/// What may stand in logs and bodies as it is.
bool is_request_id(std::string_view text) {
    constexpr auto allowed =
        grammar::char_set([](unsigned c) { return grammar::is_alnum(c) || c == '.' || c == '_' || c == '-'; });
    return !text.empty() && text.size() <= 128 &&
           std::all_of(text.begin(), text.end(), [&](char c) { return grammar::in(allowed, c); });
}

Answer redirect(Exchange& x) {
    if (const auto target = canonical_target(x.request.target, x.path_storage)) x.target = *target;  // for the log
    if (x.request.host.empty()) return {.status = 400, .reason = "missing_host", .location = {}, .close = true};
    return {.status = 308, .reason = "redirect_to_https", .location = https_location(x), .close = false};
}

}  // namespace

Frontend::Frontend(EventLoop& its_loop, std::shared_ptr<const Listening> its_listening, const Peer& peer)
    : loop(its_loop), listening(std::move(its_listening)), tls(listening->tls), peers_{peer, peer} {
    peers_[0].trusted = false;
    peers_[1].trusted = true;
}

const Peer& Frontend::peer() {
    if (trusted_as_of_ != loop.site->number) {
        trusted_as_of_ = loop.site->number;
        served_host_.reset();
        trusted_ = in_networks(peers_[0].address, loop.site->config.trusted_proxies) ? 1 : 0;
    }
    return peers_[trusted_];
}

void Frontend::identify(const std::shared_ptr<ClientCertificate>& certificate) {
    for (Peer& peer : peers_) peer.certificate = certificate;
}

std::optional<Answer> Frontend::prepare(Exchange& x, const std::optional<http1::HeadError>& error) {
    const auto& trusted = x.site->config.trusted_proxies;
    x.client_address = error ? x.peer.address : client_address(x.request, x.peer, trusted);
    if (!error) x.origin = client_origin(x.request, x.peer, trusted);
    const RequestId fresh_id = loop.request_id();
    x.request_id = x.arena.keep({fresh_id.data(), fresh_id.size()});
    if (error) return Answer{.status = error->status, .reason = error->reason, .location = {}, .close = true};
    if (x.peer.trusted) {
        if (const auto id = find(x.request.fields, Known::x_request_id); id && is_request_id(*id)) x.request_id = *id;
    }
    if (listening->settings.redirect_to_https && x.request.target != "*") return redirect(x);
    if (!serves(x.request.host)) return Answer{.status = 421, .reason = "misdirected"};
    return std::nullopt;
}

void Frontend::complete(AnswerHead& head, std::array<char, 20>& room) const {
    if (head.content_length && !find(head.fields, Known::content_length)) {
        const auto end = std::to_chars(room.data(), room.data() + room.size(), *head.content_length).ptr;
        head.fields.push_back({"Content-Length", {room.data(), static_cast<std::size_t>(end - room.data())}});
    }
    if (!find(head.fields, Known::date)) head.fields.push_back({"Date", loop.http_date()});
}

std::chrono::milliseconds Frontend::idle_limit() const {
    return ending() ? drain_grace : loop.site->config.limits.idle_timeout;
}

/// Whether a request for this host may come on this connection: most come for the host that the last was for.
bool Frontend::serves(const std::string& host) {
    if (served_host_ == host) return true;
    if (ssl && !tls->serves(ssl, host)) return false;
    if (!loop.others_admit(ssl, host, ssl ? tls->closeness(host) : 0)) return false;
    served_host_ = host;
    return true;
}

bool session_ended(EventLoop& loop, Exchange& x) {
    if (loop.deadlines.now() - x.relaying_since < long_relay) return false;
    if (!x.watch) x.watch.emplace(*x.session, x.relaying_since);
    if (x.uploading && x.route->activity) x.watch->renew(loop, x.site->config.session);
    return x.watch->ended(loop);
}

bool give_up(EventLoop& loop, Exchange& x, bool client_left) {
    if (!x.app) return false;
    const bool ended = x.session && (x.head_sent || x.uploading) && session_ended(loop, x);
    if (!ended && !client_left) return false;
    x.record.reason = ended ? "session_ended" : "client_gone";
    x.app->abort(make_error_code(boost::system::errc::owner_dead));
    return client_left || x.head_sent;
}

}  // namespace rotagate::proxy
