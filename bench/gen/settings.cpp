#include "bench/gen/settings.hpp"

#include <charconv>
#include <utility>

namespace weir::gen {
namespace {

Status number(std::string_view name, std::string_view text, std::uint32_t& out) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    if (error == std::errc() && end == text.data() + text.size()) return {};
    return invalid(std::string(name), std::string(text).append(" is no number"));
}

Status flag(std::string_view name, std::string_view text, bool& out) {
    std::uint32_t value = 0;
    if (Status read = number(name, text, value); !read) return read;
    out = value != 0;
    return {};
}

Status unknown(const char* name, std::string_view text, const char* known) {
    std::string why(1, '"');
    why.append(text).append("\": ").append(known);
    return invalid(name, std::move(why));
}

Status work(std::string_view text, Work& out) {
    if (text == "udp") out = Work::udp;
    else if (text == "tcp") out = Work::tcp;
    else if (text == "new_udp") out = Work::new_udp;
    else if (text == "full_tcp") out = Work::full_tcp;
    else return unknown("work", text, "udp, tcp, new_udp or full_tcp");
    return {};
}

Status noise(std::string_view text, NoiseKind& out) {
    if (text == "none") out = NoiseKind::none;
    else if (text == "bad") out = NoiseKind::bad;
    else if (text == "syn") out = NoiseKind::syn;
    else return unknown("noise", text, "none, bad or syn");
    return {};
}

Status nodes(std::string_view text, Nodes& out) {
    if (text == "none") out = Nodes::none;
    else if (text == "wire") out = Nodes::wire;
    else if (text == "turn") out = Nodes::turn;
    else if (text == "echo") out = Nodes::echo;
    else return unknown("nodes", text, "none, wire, turn or echo");
    return {};
}

Status far(std::string_view text, Far& out) {
    if (text == "none") out = Far::none;
    else if (text == "smd") out = Far::smd;
    else if (text == "nsh") out = Far::nsh;
    else if (text == "echo") out = Far::echo;
    else return unknown("far", text, "none, smd, nsh or echo");
    return {};
}

Status set(Settings& s, std::string_view name, std::string_view value) {
    if (name == "page") return s.page = value, Status();
    if (name == "work") return work(value, s.work);
    if (name == "noise") return noise(value, s.noise);
    if (name == "nodes") return nodes(value, s.nodes);
    if (name == "far") return far(value, s.far);
    if (name == "flows") return number(name, value, s.flows);
    if (name == "window") return number(name, value, s.window);
    if (name == "parts") return number(name, value, s.parts);
    if (name == "flight") return number(name, value, s.flight);
    if (name == "ip6") return flag(name, value, s.ip6);
    if (name == "answers") return flag(name, value, s.answers);
    if (name == "from_b") return flag(name, value, s.from_b);
    if (name == "routed") return flag(name, value, s.routed);
    if (name == "swapped") return flag(name, value, s.swapped);
    if (name == "tunnel") return flag(name, value, s.tunnel);
    if (name == "imix") return flag(name, value, s.imix);
    if (name == "apart") return flag(name, value, s.apart);
    return invalid(std::string(name), "is no setting of the generator");
}

Status agree(const Settings& s) {
    if (s.page.empty()) return invalid("page", "is needed");
    if (s.flows == 0 || s.flows > 16u << 20) return invalid("flows", "1 to 16777216");
    if (s.window == 0) return invalid("window", "at least 1");
    if (s.parts == 0 || s.parts > most_parts) return invalid("parts", "1 to 8");
    if (s.parts > 1 && (s.work == Work::new_udp || s.work == Work::full_tcp || s.tunnel ||
                        s.nodes != Nodes::none || s.noise != NoiseKind::none))
        return invalid("parts", "only for known flows, without tunnel, nodes and noise");
    if (s.imix && (s.work != Work::udp || s.ip6)) return invalid("imix", "only for udp over IPv4");
    if (s.from_b && s.work == Work::tcp) return invalid("from_b", "connections start at side a");
    if (s.noise != NoiseKind::none && (s.ip6 || s.tunnel || s.routed || s.swapped))
        return invalid("noise", "only over IPv4, within one segment");
    return {};
}

}  // namespace

Result<Settings> parse_settings(std::string_view text) {
    Settings settings;
    while (!text.empty()) {
        const std::string_view one = text.substr(0, text.find(' '));
        text.remove_prefix(std::min(text.size(), one.size() + 1));
        if (one.empty()) continue;
        const std::size_t equals = one.find('=');
        if (equals == one.npos) return invalid(std::string(one), "name=value is wanted");
        if (Status done = set(settings, one.substr(0, equals), one.substr(equals + 1)); !done)
            return done.error();
    }
    if (Status status = agree(settings); !status) return status.error();
    return settings;
}

}  // namespace weir::gen
