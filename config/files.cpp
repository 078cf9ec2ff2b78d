#include "config/files.hpp"

#include <cerrno>
#include <cstring>
#include <optional>

#include <sys/stat.h>
#include <unistd.h>

namespace rotagate::config {
namespace {

/// The system's words for what went wrong last, as the middle of a sentence.
std::string because() { return std::string(" (") + std::strerror(errno) + ")"; }

std::optional<Refusal> unreadable(const std::filesystem::path& path, bool secret) {
    struct stat status {};
    if (stat(path.c_str(), &status) != 0)
        return Refusal{"cannot be found" + because() + "; looked for " + path.string()};
    if (!S_ISREG(status.st_mode)) return Refusal{"is not a file; write the name of a regular file"};
    if (access(path.c_str(), R_OK) != 0) return Refusal{"cannot be read" + because() + "; let this user read it"};
    if (status.st_size == 0) return Refusal{"is an empty file; put in what it should hold"};
    if (secret && (status.st_mode & S_IRWXO) != 0)
        return Refusal{"holds a secret that every user of this machine can get at; run chmod 600 " + path.string()};
    return std::nullopt;
}

std::optional<Refusal> unwritable(const std::filesystem::path& path) {
    std::error_code ignored;
    if (std::filesystem::is_directory(path, ignored)) return Refusal{"is a folder; write the name of a file in it"};
    const auto folder = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
    const auto& opened = std::filesystem::exists(path, ignored) ? path : folder;
    if (access(opened.c_str(), W_OK) != 0)
        return Refusal{"cannot be written" + because() + "; write stdout, off or a file"};
    return std::nullopt;
}

}  // namespace

Parsed<std::string> FileForm::operator()(std::string_view text) const {
    if (text.empty()) return Refusal{"is empty; write the name of a file"};
    if (kind == Kind::log && (text == "stdout" || text == "off")) return std::string(text);
    const auto path = folder / text;
    if (!check) return path.string();
    if (auto refusal = kind == Kind::log ? unwritable(path) : unreadable(path, kind == Kind::secret)) return *refusal;
    if (std::string wrong = inspect ? inspect(path) : std::string(); !wrong.empty()) return Refusal{std::move(wrong)};
    return path.string();
}

bool Files::open_to_all() const {
    struct stat status {};
    return check && stat(file.c_str(), &status) == 0 && S_ISREG(status.st_mode) && (status.st_mode & S_IRWXO) != 0;
}

FileForm Files::ocsp(const std::filesystem::path& certificate) const {
    FileForm form{folder, check, FileForm::Kind::readable, {}};
    if (inspectors.ocsp)
        form.inspect = [&inspectors = inspectors, certificate](const std::filesystem::path& response) {
            return inspectors.ocsp(response, certificate);
        };
    return form;
}

FileForm Files::private_key(const std::filesystem::path& certificate) const {
    FileForm form{folder, check, FileForm::Kind::secret, {}};
    if (inspectors.private_key)
        form.inspect = [&inspectors = inspectors, certificate](const std::filesystem::path& key) {
            return inspectors.private_key(key, certificate);
        };
    return form;
}

}  // namespace rotagate::config
