#pragma once

#include <memory>
#include <string>

#include "bench/http_client.hpp"

namespace rotagate::bench {

/// One connection of a browser, kept open as long as the server allows.
class Http1Client final : public HttpClient {
public:
    explicit Http1Client(ClientLoop& loop);
    ~Http1Client() override;

    Task<Failure> send(const Request& request, const CookieJar& jar) override;
    Task<Failure> read_head() override;
    bool was_stale() const override { return reused_ && !answered_; }
    const proxy::ResponseHead& head() const override { return head_; }
    Task<Failure> read_body() override;
    void close() override;
    bool is_open() const override { return stream_ != nullptr; }

private:
    Task<Failure> open();
    Failure failed(proxy::error_code reason);
    void compose(const Request& request, const CookieJar& jar);
    static Task<> finish_sending(std::shared_ptr<proxy::Stream> stream);

    std::shared_ptr<proxy::Stream> stream_;
    proxy::Deadline deadline_;
    std::string out_;
    proxy::ResponseHead head_;
    bool to_head_ = false, reused_ = false, answered_ = false;
};

}  // namespace rotagate::bench
