#include "tests/scenario/line.hpp"

#include <algorithm>
#include <cctype>
#include <iterator>
#include <sstream>

namespace weir::scenario {

std::vector<Line> lines_of(const std::string& text) {
    std::istringstream in(text);
    std::vector<Line> out;
    Line line;
    while (std::getline(in, line.text)) {
        ++line.number;
        const std::size_t hash = line.text.find('#');
        if (hash != std::string::npos && (hash == 0 || line.text[hash - 1] == ' '))
            line.text.resize(hash);
        if (!words_of(line.text).empty()) out.push_back(line);
    }
    return out;
}

std::vector<std::string> words_of(const std::string& line) {
    std::istringstream in(line);
    return {std::istream_iterator<std::string>(in), {}};
}

std::string rest_of(const std::string& line, std::size_t skip_words) {
    std::size_t at = 0;
    for (std::size_t i = 0; i < skip_words; ++i) {
        at = line.find_first_not_of(" \t", at);
        if (at == std::string::npos) return {};
        at = line.find_first_of(" \t", at);
        if (at == std::string::npos) return {};
    }
    at = line.find_first_not_of(" \t", at);
    return at == std::string::npos ? "" : line.substr(at);
}

std::string missing_word(const std::string& wanted, const std::string& description) {
    const auto has = words_of(description);
    std::string spaced = description;
    for (char& c : spaced)
        if (c == '{' || c == '}') c = ' ';
    const auto inner = words_of(spaced);
    for (const std::string& word : words_of(wanted)) {
        const bool unwanted = word.size() > 1 && word[0] == '-';
        const std::string what = word.substr(unwanted ? 1 : 0);
        const auto fits = [&](const std::string& one) {
            return what.back() == '=' ? one.starts_with(what) : one == what;
        };
        const bool found = std::any_of(has.begin(), has.end(), fits) ||
                           std::any_of(inner.begin(), inner.end(), fits);
        if (found == unwanted) return word;
    }
    return {};
}

std::string raised(const std::string& notation, std::size_t by, bool destination) {
    const std::size_t arrow = notation.find(" > ");
    if (by == 0 || arrow == std::string::npos) return notation;
    const std::size_t end =
        destination ? std::min(notation.find(' ', arrow + 3), notation.size()) : arrow;
    const std::size_t colon = notation.rfind(':', end);
    if (colon == std::string::npos) return notation;
    const std::size_t port = std::stoul(notation.substr(colon + 1, end - colon - 1));
    return notation.substr(0, colon + 1) + std::to_string(port + by) + notation.substr(end);
}

// "ctrl@8=00000007": these bytes at this offset of the order.
static void patch_ctrl(std::vector<std::string>& words, const std::string& change) {
    const std::string bytes = change.substr(change.find('=') + 1);
    for (std::string& word : words)
        if (word.starts_with("ctrl="))
            word.replace(5 + 2 * std::stoul(change.substr(5)), bytes.size(), bytes);
}

std::string changed(const std::string& notation, const std::vector<std::string>& changes) {
    const std::size_t brace = notation.find('{');
    auto words = words_of(notation.substr(0, brace));
    std::string inside = brace == std::string::npos ? "" : notation.substr(brace);
    for (const std::string& change : changes) {
        if (change[0] == '{') {
            const std::size_t at = inside.find(change.substr(1, change.find('=')));
            if (at != std::string::npos)
                inside.replace(at, inside.find_first_of(" }", at) - at, change.substr(1));
            continue;
        }
        if (change[0] == '-') {
            std::erase(words, change.substr(1));
            continue;
        }
        if (change.starts_with("ctrl@")) {
            patch_ctrl(words, change);
            continue;
        }
        const std::size_t equals = change.find('=');
        const auto at = std::find_if(words.begin(), words.end(), [&](const std::string& word) {
            return equals != std::string::npos && word.starts_with(change.substr(0, equals + 1));
        });
        if (at == words.end()) words.push_back(change);
        else *at = change;
    }
    std::string out;
    for (const std::string& word : words) out += word + " ";
    return out + inside;
}

std::vector<std::uint8_t> with_bytes(std::vector<std::uint8_t> frame,
                                     const std::vector<std::string>& words, std::size_t from) {
    for (std::size_t i = from; i < words.size(); ++i) {
        std::size_t used = 0;
        std::uint8_t& byte = frame.at(std::stoul(words[i], &used));
        const auto value = std::stoul(words[i].substr(used + 1), nullptr, 16);
        byte = static_cast<std::uint8_t>(words[i].at(used) == '^' ? byte ^ value : value);
    }
    return frame;
}

Times times_of(const std::string& word) {
    if (word.size() < 2 || word[0] != 'x' || !std::isdigit(static_cast<unsigned char>(word[1])))
        return {};
    const bool destination = word.back() == '>';
    return {std::stoul(word.substr(1)), destination || word.back() == '+', destination};
}

Range range_of(const std::vector<std::string>& words) {
    if (words.size() < 2 || words.size() > 3) return {};
    const std::size_t dots = words[1].find("..");
    if (dots == std::string::npos) return {};
    return {std::stoull(words[1].substr(0, dots)), std::stoull(words[1].substr(dots + 2)),
            words.size() == 3 ? std::stoull(words[2]) : 1};
}

std::string with_number(std::string text, std::uint64_t number) {
    const std::string digits = std::to_string(number);
    for (std::size_t at = 0; (at = text.find("{}", at)) != std::string::npos; at += digits.size())
        text.replace(at, 2, digits);
    return text;
}

}  // namespace weir::scenario
