// A port's state from anywhere, its checksum put right: what can be read comes out again as it went
// in, apart from what is skipped.
#include <cstdlib>

#include "dataplane/port_blob.hpp"
#include "flow/save_codec.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace weir;
    std::vector<std::uint8_t> bytes(data, data + size);
    if (bytes.size() >= 4) {
        const std::uint32_t crc = net::crc32c({bytes.data(), bytes.size() - 4});
        flow::ByteWriter(bytes).patch(bytes.size() - 4, crc, 4);
    }
    const auto blob = dataplane::decode_port_blob(bytes);
    if (!blob) return 0;
    const auto written = dataplane::encode(*blob);
    if (written.size() > bytes.size()) std::abort();
    const auto again = dataplane::decode_port_blob(written);
    if (!again || again->port != blob->port || again->vni != blob->vni ||
        again->count != blob->count || again->sections.size() != blob->sections.size())
        std::abort();
    for (std::size_t i = 0; i < blob->sections.size(); ++i)
        if (again->sections[i].name != blob->sections[i].name ||
            again->sections[i].bytes != blob->sections[i].bytes)
            std::abort();
    return 0;
}
