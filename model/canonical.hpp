#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "model/delta.hpp"
#include "model/registry.hpp"
#include "model/snapshot.hpp"

// One text per content: what travels to hosts and into the engine, and what is compared.
namespace weir::model {

// {"revision":7,"resources":{"<kind>":{"<name>":{fields}}}}, everything ordered by name, no spaces.
// Equal snapshots give equal bytes, whatever they were made from.
std::string encode_canonical(const Registry& registry, const Snapshot& snapshot);

// What a reader does with kinds that its registry does not have.
enum class UnknownKinds : std::uint8_t { refuse = 1, skip };

// Errors name object and field. Bounds are checked; references are not (see validate()).
Result<Snapshot> decode_canonical(const Registry& registry, std::string_view bytes,
                                  UnknownKinds unknown = UnknownKinds::refuse);

// The value as canonical text: members ordered by key.
std::string canonical_text(const Value& value);

// 64 bits of the content of a resource: equal for equal content in every process and run. Not a
// defence against somebody who looks for two contents of one digest.
std::uint64_t digest(std::string_view canonical);
std::uint64_t digest(const Kind& kind, const Snapshot& snapshot, std::string_view name);
using Digests = std::map<ResourceKey, std::uint64_t>;
Digests digests(const Registry& registry, const Snapshot& snapshot);
// Of all resources together; the revision does not count.
std::uint64_t content_digest(const Registry& registry, const Snapshot& snapshot);

}  // namespace weir::model
