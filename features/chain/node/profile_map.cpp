#include "features/chain/node/profile_map.hpp"

#include "features/chain/planned.hpp"
#include "features/chain/resources.hpp"

namespace weir::chain {
namespace {

// Validation keeps names to signs that need no escape; values of attributes are free.
void add_text(std::string& out, std::string_view text) {
    constexpr char digits[] = "0123456789abcdef";
    out += '"';
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') out += '\\';
        if (byte >= 0x20) {
            out += c;
        } else {
            out += {'\\', 'u', '0', '0', digits[byte >> 4], digits[byte & 15]};
        }
    }
    out += '"';
}

void add_attributes(std::string& out, const model::Labels& attributes) {
    const char* comma = "";
    for (const auto& [key, value] : attributes) {
        out += comma;
        comma = ",";
        add_text(out, key);
        out += ':';
        add_text(out, value);
    }
}

// Whether a hop of the path is what its chain says today: a path that lingers may be older.
bool is_of_today(const ServiceChain* chain, const std::vector<PathHop>& hops, std::size_t hop,
                 bool reverse) {
    if (!chain) return false;
    const auto& own = reverse && !chain->reverse.empty() ? chain->reverse : chain->forward;
    const bool inverse = reverse && chain->reverse.empty();
    return own.size() == hops.size() &&
           own[inverse ? hops.size() - 1 - hop : hop].name == hops[hop].profile;
}

}  // namespace

std::map<std::string, ProfileMap, std::less<>> profile_maps(const model::Snapshot& planned) {
    std::map<std::string, ProfileMap, std::less<>> out;
    for (const auto& row : planned.all<ServicePath>()) {
        const ServicePath& path = row.second;
        const auto* chain = planned.find<ServiceChain>(path.chain);
        for (const bool reverse : {false, true}) {
            const std::vector<PathHop>& hops = reverse ? path.reverse : path.forward;
            for (std::size_t hop = 0; hop < hops.size(); ++hop) {
                const ProfileKey key{path.sci, reverse,
                                     static_cast<std::uint8_t>(hops.size() - hop)};
                ProfileMap& map = out[hops[hop].node];
                const auto [at, fresh] = map.try_emplace(key, hops[hop].profile);
                if (!fresh && is_of_today(chain, hops, hop, reverse))
                    at->second = hops[hop].profile;
            }
        }
    }
    return out;
}

std::string profile_map_text(const model::Snapshot& planned, std::string_view node,
                             const ProfileMap& map) {
    std::string out = "{\"node\":";
    add_text(out, node);
    out += ",\"profiles\":[";
    const char* comma = "\n";
    for (const auto& [key, name] : map) {
        const auto* profile = planned.find<ServiceProfile>(name);
        if (!profile) continue;
        out += comma;
        comma = ",\n";
        out += "{\"sci\":" + std::to_string(key.sci) + ",\"direction\":";
        out += key.reverse ? "\"reverse\"" : "\"forward\"";
        out += ",\"si\":" + std::to_string(key.si) + ",\"profile\":";
        add_text(out, name);
        out += ",\"action\":";
        add_text(out, model::enum_name(profile->action));
        out += ",\"attributes\":{";
        add_attributes(out, profile->attributes);
        out += "}}";
    }
    return out + "]}\n";
}

}  // namespace weir::chain
