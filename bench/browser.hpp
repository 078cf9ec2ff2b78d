#pragma once

#include <memory>
#include <vector>

#include "bench/http2_connection.hpp"
#include "bench/http_client.hpp"

namespace rotagate::bench {

/// Makes the clients of one browser: over HTTP/1.1 each has a connection of its own, over HTTP/2 they share one for
/// each target.
class Browser {
public:
    explicit Browser(ClientLoop& loop);
    std::unique_ptr<HttpClient> new_client();

private:
    ClientLoop& loop_;
    std::vector<std::shared_ptr<Http2Line>> http2_;
    std::size_t turn_ = 0;
};

}  // namespace rotagate::bench
