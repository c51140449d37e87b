#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "model/snapshot.hpp"

// What a service node is to do with a packet, by what it sees of it: (chain, direction, service
// index) → profile (spec service-plane OBJ-4). For the node's manager; packets need none of it.
namespace weir::chain {

struct ProfileKey {
    std::uint32_t sci = 0;
    bool reverse = false;
    std::uint8_t si = 0;  // that a packet carries on its way to the node

    friend auto operator<=>(const ProfileKey&, const ProfileKey&) = default;
};
using ProfileMap = std::map<ProfileKey, std::string>;  // names of profiles

// Of every node on the paths that a host knows of, by name; paths that linger are among them, so
// that packets under way are known. Where two say different things, the chain of today counts.
std::map<std::string, ProfileMap, std::less<>> profile_maps(const model::Snapshot& planned);

// One as a JSON object, with actions and attributes: {"node":"n1","profiles":[{"sci":1,
// "direction":"forward","si":2,"profile":"fw-strict","action":"redirect","attributes":{…}}]}.
std::string profile_map_text(const model::Snapshot& planned, std::string_view node,
                             const ProfileMap& map);

}  // namespace weir::chain
