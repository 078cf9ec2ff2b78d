#include "proxy/tls_state.hpp"

#include <array>
#include <vector>

#include <openssl/x509.h>

namespace rotagate::proxy::tls {

std::shared_ptr<const Staple> ServerState::staple(const std::filesystem::path& file, X509* certificate) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    X509_digest(certificate, EVP_sha256(), digest.data(), &size);
    const std::string key = std::string(digest.begin(), digest.begin() + size) + file.string();
    const std::lock_guard lock(mutex_);
    std::weak_ptr<Staple>& place = staples_[key];
    auto staple = place.lock();
    if (!staple) place = staple = std::make_shared<Staple>(file, certificate);
    return staple;
}

void ServerState::look_after() {
    tickets.look_after();
    std::vector<std::shared_ptr<Staple>> staples;
    {
        const std::lock_guard lock(mutex_);
        std::erase_if(staples_, [](const auto& entry) { return entry.second.expired(); });
        for (const auto& [key, staple] : staples_)
            if (auto alive = staple.lock()) staples.push_back(std::move(alive));
    }
    for (const auto& staple : staples) staple->look_after();  // which reads files: not under the mutex
}

}  // namespace rotagate::proxy::tls
