#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "bench/plot.hpp"

namespace rotagate::bench {

/// An HTML page that needs no other file: text is escaped, pictures are in it.
class Page {
public:
    Page(std::string_view title, std::string_view subtitle);

    void begin_figures();
    /// @param style  good, bad or none
    void figure(std::string_view value, std::string_view meaning, std::string_view style = "");
    void end_figures();

    void heading(std::string_view text);
    /// @param note  how to read it
    void plot(const Plot& plot, std::string_view note);

    void begin_table(const std::vector<std::string>& names);
    void row(const std::vector<std::string>& texts);
    void end_table();

    /// Throws std::runtime_error where the file cannot be written.
    void write(const std::filesystem::path& file) const;

private:
    void escaped(std::string_view text);
    void cells(std::string_view element, const std::vector<std::string>& texts);

    std::string html_;
};

}  // namespace rotagate::bench
