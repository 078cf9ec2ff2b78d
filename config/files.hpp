#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "config/load.hpp"
#include "config/reader.hpp"

namespace rotagate::config {

/// The form of a file's name: resolved against the configuration's folder and, where `check` says so, looked at.
struct FileForm {
    enum class Kind {
        readable,  ///< a regular file with something in it
        secret,    ///< the same, and nothing of its mode is for others than owner and group
        log,       ///< need not exist, but can be written; "stdout" and "off" are no files and stay as they are
    };
    std::filesystem::path folder;
    bool check;
    Kind kind;
    Inspector inspect;  ///< looks into it, once it is there and safe; empty: nobody does
    Parsed<std::string> operator()(std::string_view text) const;
};

/// Makes the forms for the files that one configuration names.
struct Files {
    std::filesystem::path folder;  ///< what relative paths start from
    bool check;                    ///< whether files must exist, be safe, and pass the inspectors
    const Inspectors& inspectors;
    std::filesystem::path file;  ///< the configuration's own

    /// Whether what the configuration itself holds can be read by every user of this machine.
    bool open_to_all() const;
    FileForm certificate() const { return {folder, check, FileForm::Kind::readable, inspectors.certificate}; }
    /// @param certificate  that the key must belong to; empty: any key will do
    FileForm private_key(const std::filesystem::path& certificate) const;
    /// @param certificate  that the response must be about; empty: any will do
    FileForm ocsp(const std::filesystem::path& certificate) const;
    FileForm authorities() const { return {folder, check, FileForm::Kind::readable, inspectors.authorities}; }
    FileForm cookie_key() const { return {folder, check, FileForm::Kind::secret, inspectors.cookie_key}; }
    FileForm ticket_key() const { return {folder, check, FileForm::Kind::secret, inspectors.ticket_key}; }
    FileForm admin_token() const { return {folder, check, FileForm::Kind::secret, inspectors.admin_token}; }
    FileForm log() const { return {folder, check, FileForm::Kind::log, {}}; }
};

}  // namespace rotagate::config
