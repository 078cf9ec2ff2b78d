#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <unistd.h>

#include "proxy/admin.hpp"
#include "session/memory_store.hpp"

namespace rotagate::proxy::test {

/// A folder that goes with the test.
struct Folder {
    std::filesystem::path path;
    Folder() {
        std::string name = (std::filesystem::temp_directory_path() / "rotagate-XXXXXX").string();
        path = mkdtemp(name.data());
    }
    ~Folder() { std::filesystem::remove_all(path); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    std::string write(const std::string& name, const std::string& text) const {
        std::ofstream{path / name} << text;
        return (path / name).string();
    }
};

/// An admin address on an event loop of its own, over a store of sessions.
class RunningAdmin {
public:
    /// @param address  of a unix socket, or a free port of 127.0.0.1
    explicit RunningAdmin(session::SessionStore* store = nullptr,
                          const config::Admin& settings = {.address = any_port()})
        : admin_{loop, settings, parts(store ? *store : sessions)}, thread_{[this] { loop.run(); }} {}
    ~RunningAdmin() {
        admin_.stop();
        work_.reset();
        thread_.join();
    }

    static config::Address any_port() { return {.host = "127.0.0.1", .port = 0, .unix_path = {}}; }

    std::string address() const { return admin_.address(); }

    /// Signs a user in. @return the operator's name of the session
    std::string sign_in(const std::string& id, const std::string& org = "", bool permanent = false) {
        std::string name;
        session::NewSession request{.user = {.id = id, .org = org},
                                    .permanent = permanent,
                                    .data = {},
                                    .client = "203.0.113.9",
                                    .replaces = {}};
        sessions.start(std::move(request), [&](session::Result<session::Started> started) {
            name = started.value().session.id.admin_name();
        });
        return name;
    }

    /// The lines of the security log.
    std::vector<boost::json::object> events() const {
        std::ifstream in{folder.path / "security.log"};
        std::vector<boost::json::object> all;
        for (std::string line; std::getline(in, line);) all.push_back(boost::json::parse(line).as_object());
        return all;
    }

    Folder folder;
    session::MemoryStore sessions{config::Session{}};
    std::vector<std::string> dead_upstreams;  ///< set it before the first request
    boost::asio::io_context loop{1};

private:
    AdminParts parts(session::SessionStore& store) {
        return {.store = store,
                .metrics = metrics_,
                .loop_metrics = loop_metrics_,
                .security_log = security_log_,
                .dead_upstreams = [this] { return dead_upstreams; }};
    }
    config::Log log_settings() const {
        config::Log settings;
        settings.security = (folder.path / "security.log").string();
        return settings;
    }

    Metrics metrics_;
    LoopMetrics& loop_metrics_ = metrics_.add_loop();
    SecurityLog security_log_{log_settings()};
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_ = boost::asio::make_work_guard(loop);
    Admin admin_;
    std::thread thread_;
};

}  // namespace rotagate::proxy::test
