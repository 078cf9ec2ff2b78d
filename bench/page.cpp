#include "bench/page.hpp"

#include <fstream>
#include <stdexcept>

namespace rotagate::bench {
namespace {

constexpr std::string_view stylesheet = R"css(
:root {
    color-scheme: light dark;
    --ground: #f5f6f4; --card: #fff; --ink: #1d2420; --soft: #5d6862; --line: #e1e5e2; --shade: #eef1ef;
    --s1: #0b6b4f; --s2: #c77700; --s3: #8a94a6; --s4: #b3261e; --good: #0b6b4f; --bad: #b3261e;
}
@media (prefers-color-scheme: dark) {
    :root {
        --ground: #121614; --card: #1b211e; --ink: #e6ebe8; --soft: #9aa69f; --line: #303934; --shade: #222a26;
        --s1: #5fd0a5; --s2: #f0b35a; --s3: #8d99ae; --s4: #ff8a80; --good: #5fd0a5; --bad: #ff8a80;
    }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 58rem; padding: 1.5rem 1rem; background: var(--ground); color: var(--ink);
       font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0; }
h2 { font-size: 1.05rem; margin: 0 0 .5rem; }
.sub { color: var(--soft); margin: 0 0 1.25rem; overflow-wrap: anywhere; }
section { background: var(--card); border: 1px solid var(--line); border-radius: .75rem; padding: 1rem 1.25rem; margin: 0 0 1rem;
          overflow-x: auto; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(7.5rem, 1fr)); gap: 1rem; }
.figures b { display: block; font-size: 1.45rem; line-height: 1.25; font-variant-numeric: tabular-nums; }
.figures span, .note { color: var(--soft); font-size: .85rem; }
.good { color: var(--good); } .bad { color: var(--bad); }
.note { margin: .25rem 0 0; }
.legend { float: right; font-size: .85rem; color: var(--soft); }
.legend i { display: inline-block; width: .8rem; height: .2rem; vertical-align: .25rem; margin: 0 .35rem 0 .9rem; }
svg { display: block; width: 100%; height: auto; }
svg text { font: 11px system-ui, sans-serif; fill: var(--soft); font-variant-numeric: tabular-nums; }
svg .grid { stroke: var(--line); } svg .shade { fill: var(--shade); }
svg polyline { fill: none; stroke-width: 1.8; stroke-linejoin: round; }
.s1 { stroke: var(--s1); } .s2 { stroke: var(--s2); } .s3 { stroke: var(--s3); } .s4 { stroke: var(--s4); }
i.s1 { background: var(--s1); } i.s2 { background: var(--s2); } i.s3 { background: var(--s3); } i.s4 { background: var(--s4); }
circle.s1, rect.s1 { fill: var(--s1); } circle.s2, rect.s2 { fill: var(--s2); } circle.s3, rect.s3 { fill: var(--s3); }
circle.s4, rect.s4 { fill: var(--s4); }
table { border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .5rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th { color: var(--soft); font-weight: 600; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
tr:last-child td { border-bottom: 0; }
)css";

}  // namespace

Page::Page(std::string_view title, std::string_view subtitle) {
    html_ =
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>";
    escaped(title);
    html_.append(" · rotagate-bench</title>\n<style>").append(stylesheet).append("</style>\n</head>\n<body>\n<h1>");
    escaped(title);
    html_ += "</h1>\n<p class=\"sub\">";
    escaped(subtitle);
    html_ += "</p>\n";
}

void Page::escaped(std::string_view text) {
    for (const char c : text) {
        if (c == '<') {
            html_ += "&lt;";
        } else if (c == '>') {
            html_ += "&gt;";
        } else if (c == '&') {
            html_ += "&amp;";
        } else if (c == '"') {
            html_ += "&quot;";
        } else {
            html_ += c;
        }
    }
}

void Page::begin_figures() { html_ += "<section class=\"figures\">\n"; }
void Page::end_figures() { html_ += "</section>\n"; }

void Page::figure(std::string_view value, std::string_view meaning, std::string_view style) {
    html_.append("<div><b class=\"").append(style).append("\">");
    escaped(value);
    html_ += "</b><span>";
    escaped(meaning);
    html_ += "</span></div>\n";
}

void Page::heading(std::string_view text) {
    html_ += "<section><h2>";
    escaped(text);
    html_ += "</h2>\n";
}

void Page::plot(const Plot& plot, std::string_view note) {
    html_ += "<section>";
    if (plot.series.size() > 1 || (plot.series.size() == 1 && plot.series[0].bars)) {
        html_ += "<div class=\"legend\">";
        for (const Series& series : plot.series) {
            html_.append("<i class=\"").append(series.style).append("\"></i>");
            escaped(series.name);
        }
        html_ += "</div>";
    }
    html_ += "<h2>";
    escaped(plot.title);
    html_.append("</h2>\n").append(plot.svg()).append("<p class=\"note\">");
    escaped(note);
    html_ += "</p></section>\n";
}

void Page::begin_table(const std::vector<std::string>& names) {
    html_ += "<table>\n";
    cells("th", names);
}

void Page::row(const std::vector<std::string>& texts) { cells("td", texts); }

void Page::cells(std::string_view element, const std::vector<std::string>& texts) {
    html_ += "<tr>";
    for (const std::string& text : texts) {
        html_.append("<").append(element).append(">");
        escaped(text);
        html_.append("</").append(element).append(">");
    }
    html_ += "</tr>\n";
}

void Page::end_table() { html_ += "</table></section>\n"; }

void Page::write(const std::filesystem::path& file) const {
    std::ofstream out(file);
    if (!(out << html_ << "</body>\n</html>\n" << std::flush))
        throw std::runtime_error(file.string() + ": cannot be written");
}

}  // namespace rotagate::bench
