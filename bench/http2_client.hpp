#pragma once

#include <memory>
#include <string>

#include "bench/http2_connection.hpp"
#include "bench/http_client.hpp"

namespace rotagate::bench {

/// One stream after the other of a browser's connection, whichever that is at the time.
class Http2Client final : public HttpClient {
public:
    Http2Client(ClientLoop& loop, std::shared_ptr<Http2Line> line);
    ~Http2Client() override;

    Task<Failure> send(const Request& request, const CookieJar& jar) override;
    Task<Failure> read_head() override;
    bool was_stale() const override { return exchange_.refused || (reused_ && !exchange_.has_head); }
    const proxy::ResponseHead& head() const override { return exchange_.head; }
    Task<Failure> read_body() override;
    void close() override;
    bool is_open() const override { return connection_->is_open(); }

private:
    void compose(const Request& request, const CookieJar& jar);
    void give_up();

    std::shared_ptr<Http2Line> line_;
    std::shared_ptr<Http2Connection> connection_;  ///< of the request
    proxy::Deadline deadline_;
    Http2Exchange exchange_;
    Http2Connection::Fields fields_;
    std::string cookies_, length_;
    bool reused_ = false;
};

}  // namespace rotagate::bench
