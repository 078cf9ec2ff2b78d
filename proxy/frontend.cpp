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
constexpr std::chrono::milliseconds long_answer = 500ms;

/// What may stand in logs and bodies as it is.
bool is_request_id(std::string_view text) {
    constexpr auto allowed =
        grammar::char_set([](unsigned c) { return grammar::is_alnum(c) || c == '.' || c == '_' || c == '-'; });
    return !text.empty() && text.size() <= 128 &&
           std::all_of(text.begin(), text.end(), [&](char c) { return grammar::in(allowed, c); });
}

Answer redirect(const Exchange& x) {
    if (x.request.host.empty()) return {.status = 400, .reason = "missing_host", .location = {}, .close = true};
    return {.status = 308, .reason = "redirect_to_https", .location = https_location(x), .close = false};
}

/// Whether the session of a long answer has ended.
bool session_ended(EventLoop& loop, Exchange& x) {
    if (loop.deadlines.now() - x.relaying_since < long_answer) return false;
    if (!x.watch) x.watch.emplace(*x.session, x.relaying_since);
    return x.watch->ended(loop);
}

}  // namespace

std::optional<Answer> Frontend::prepare(Exchange& x, const std::optional<http1::HeadError>& error) {
    const auto& trusted = x.site->config.trusted_proxies;
    x.client_address = error ? peer.address : client_address(x.request, peer, trusted);
    if (!error) x.origin = client_origin(x.request, peer, trusted);
    const RequestId fresh_id = loop.request_id();
    x.request_id = x.arena.keep({fresh_id.data(), fresh_id.size()});
    if (error) return Answer{.status = error->status, .reason = error->reason, .location = {}, .close = true};
    if (peer.trusted) {
        if (const auto id = find(x.request.fields, Known::x_request_id); id && is_request_id(*id)) x.request_id = *id;
    }
    if (!serves(x.request.host)) return Answer{.status = 421, .reason = "misdirected"};
    if (listening.settings->redirect_to_https && x.request.target != "*") return redirect(x);
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
    return loop.draining() ? drain_grace : loop.site->config.limits.idle_timeout;
}

/// Whether the certificate that the client was shown is for this host too: else the request was meant for another
/// server (RFC 9110 section 7.4). A client without SNI, mostly one that connects to an address, has asked for none: it
/// is served unless the host has a certificate of its own, which it would have been shown for its name.
bool Frontend::serves(const std::string& host) {
    if (!ssl || host == covered_host_) return true;
    const std::string_view name = tls::server_name(ssl);
    const bool meant_for_another = name.empty() ? listening.tls->has_another_for(ssl, host) : !same_name(name, host);
    if (meant_for_another && !tls::covers(ssl, host)) return false;
    covered_host_ = host;
    return true;
}

bool give_up(EventLoop& loop, Exchange& x, bool client_left) {
    if (!x.app) return false;
    const bool ended = x.session && x.head_sent && session_ended(loop, x);
    if (!ended && !client_left) return false;
    x.record.reason = ended ? "session_ended" : "client_gone";
    x.app->abort(make_error_code(boost::system::errc::owner_dead));
    return true;
}

}  // namespace rotagate::proxy
