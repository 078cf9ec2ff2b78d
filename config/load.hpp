#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "config/issue.hpp"

namespace rotagate::config {

/// What a file says: the configuration, or every mistake in it at once.
struct Loaded {
    Config config;
    std::vector<Issue> errors;    ///< empty: `config` can be used
    std::vector<Issue> warnings;  ///< it can be used, but the operator should know
    Places places;                ///< of the settings
    bool ok() const { return errors.empty(); }
};

/// Looks into a file that a configuration names. @return what is wrong with it, and the cure, as the rest of a sentence
/// that begins with its name; empty: it can be used
using Inspector = std::function<std::string(const std::filesystem::path&)>;

/// Those for what this module does not understand itself; where one is missing, such files are not looked into.
struct Inspectors {
    Inspector certificate;
    /// What an operator should know of a certificate that can be used. @return the rest of a sentence; empty: nothing
    Inspector certificate_warning;
    /// The host names that a certificate is for, lower case. Errors: none, where it cannot be used.
    std::function<std::vector<std::string>(const std::filesystem::path&)> certificate_names;
    /// @param certificate  that the key must belong to; empty: it cannot be used, and any key will do
    std::function<std::string(const std::filesystem::path& key, const std::filesystem::path& certificate)> private_key;
    Inspector authorities;
    Inspector cookie_key;
    Inspector ticket_key;
    /// An OCSP response. @param certificate  that it must be about; empty: it cannot be used
    std::function<std::string(const std::filesystem::path& response, const std::filesystem::path& certificate)> ocsp;
    /// What an operator should know of a response that can be used. @return the rest of a sentence; empty: nothing
    Inspector ocsp_warning;
    Inspector admin_token;
};

/// Reads a configuration file, its relative paths taken from the file's folder, and checks it, the rules between
/// settings and the files that it names included.
Loaded load_file(const std::filesystem::path& file, const Inspectors& inspectors = {});

/// The same from text, for tests and fuzzing. @param name stands for the file in messages and for its folder.
/// @param check_files whether the files that it names must exist and be safe
Loaded load_text(const std::string& yaml, const std::filesystem::path& name, bool check_files,
                 const Inspectors& inspectors = {});

}  // namespace rotagate::config
