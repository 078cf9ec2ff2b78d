#include "bench/http2_client.hpp"

namespace rotagate::bench {

Http2Client::Http2Client(ClientLoop& loop, std::shared_ptr<Http2Line> line)
    : HttpClient(loop), line_(std::move(line)), connection_(line_->connection()), deadline_([this] { give_up(); }) {}

Http2Client::~Http2Client() { close(); }

/// In time nothing has come; who waits is told so.
void Http2Client::give_up() {
    connection_->cancel(exchange_);
    exchange_.has_end = true;
    exchange_.failure = Failure::timeout;
    exchange_.changed.notify();
}

void Http2Client::close() {
    deadline_.disarm();
    connection_->cancel(exchange_);
}

void Http2Client::compose(const Request& request, const CookieJar& jar) {
    const Target& site = loop_.site();
    fields_.assign({{":method", request.method},
                    {":scheme", site.secure ? "https" : "http"},
                    {":authority", site.authority},
                    {":path", request.target},
                    {"user-agent", "rotagate-bench"},
                    {"accept", request.navigates ? "text/html,*/*;q=0.8" : "*/*"}});
    if (request.navigates) fields_.emplace_back("sec-fetch-mode", "navigate");
    cookies_.clear();
    jar.append_header(cookies_, request.path(), site.secure, loop_.wall_clock());
    if (!cookies_.empty()) fields_.emplace_back("cookie", cookies_);
    if (request.content_type.empty()) return;
    length_ = std::to_string(request.body.size());
    fields_.emplace_back("content-type", request.content_type);
    fields_.emplace_back("content-length", length_);
}

Task<Failure> Http2Client::send(const Request& request, const CookieJar& jar) {
    connection_->cancel(exchange_);  // which the connection of the last request may still have something to tell
    connection_ = line_->connection();
    reused_ = connection_->is_open();
    const Failure failure = co_await connection_->open();
    if (failure != Failure::none) co_return failure;
    compose(request, jar);
    path_.assign(request.path());
    exchange_.start(request.body);
    loop_.deadlines().arm(deadline_, loop_.settings().timeout);
    connection_->submit(exchange_, fields_);
    co_return Failure::none;
}

Task<Failure> Http2Client::read_head() {
    while (!exchange_.has_head && !exchange_.has_end) co_await exchange_.changed.wait();
    if (exchange_.has_head) co_return Failure::none;
    deadline_.disarm();
    co_return exchange_.failure == Failure::none ? Failure::closed : exchange_.failure;
}

Task<Failure> Http2Client::read_body() {
    while (!exchange_.has_end) co_await exchange_.changed.wait();
    deadline_.disarm();
    co_return exchange_.failure;
}

}  // namespace rotagate::bench
