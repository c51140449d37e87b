#pragma once
#include <random>

#include "net/smd.hpp"

// Metadata of chance, for tests that hold two ways of reading it against each other.
namespace weir::net::test {

class Random {
public:
    explicit Random(unsigned seed) : engine_(seed) {}
    std::uint32_t operator()() { return static_cast<std::uint32_t>(engine_()); }

private:
    std::mt19937 engine_;
};

// The fields that stand in NSH too; MACs are left empty. `ttl` is not 0.
inline Smd random_smd(Random& random) {
    Smd smd;
    smd.spi = random() & 0xffffff;
    smd.sci = random() & 0xffffff;
    smd.tenant_vni = random() & 0xffffff;
    smd.anchor_host = random();
    smd.anchor_port = random();
    smd.flow_handle = random();
    smd.flow_tag = random();
    smd.si = static_cast<std::uint8_t>(random());
    smd.initial_si = static_cast<std::uint8_t>(random());
    smd.skip_mask = static_cast<std::uint8_t>(random());
    smd.path_epoch = static_cast<std::uint8_t>(random());
    smd.ttl = static_cast<std::uint8_t>(1 + random() % 63);
    smd.reverse = random() & 1;
    smd.at_ingress = random() & 1;
    return smd;
}

}  // namespace weir::net::test
