#include <benchmark/benchmark.h>

#include <vector>

#include "net/builder.hpp"
#include "net/checksum.hpp"
#include "net/geneve.hpp"
#include "net/hash.hpp"
#include "net/parse.hpp"
#include "net/smd_codec.hpp"

namespace weir::net {
namespace {

// Enough frames that the branch predictor does not learn them by heart.
std::vector<PacketBuffer> packets(const FrameBuilder& builder) {
    std::vector<PacketBuffer> out;
    for (std::uint16_t i = 0; i < 256; ++i) {
        FrameSpec spec = builder.spec();
        spec.src_port = static_cast<std::uint16_t>(1024 + i);
        spec.fragment_id = i;
        out.emplace_back(build(spec));
    }
    return out;
}

void parse_and_hash(benchmark::State& state, const FrameBuilder& builder) {
    std::vector<PacketBuffer> frames = packets(builder);
    std::size_t i = 0;
    for (auto _ : state) {
        Packet& packet = frames[i++ & 255].packet();
        benchmark::DoNotOptimize(parse(packet));
        packet.hash = symmetric_hash(packet.tuple);
        benchmark::DoNotOptimize(packet.hash);
    }
    state.SetItemsProcessed(state.iterations());
}

const FrameBuilder ip4 = FrameBuilder().ip("10.0.0.1", "10.0.0.2");
const FrameBuilder ip6 = FrameBuilder().ip("2001:db8::1", "2001:db8::2");

BENCHMARK_CAPTURE(parse_and_hash, ip4_tcp, FrameBuilder(ip4).tcp(1, 80, tcp_ack).payload(10));
BENCHMARK_CAPTURE(parse_and_hash, ip4_udp, FrameBuilder(ip4).udp(1, 53).payload(18));
BENCHMARK_CAPTURE(parse_and_hash, ip4_tcp_vlan, FrameBuilder(ip4).vlan(7).tcp(1, 80, tcp_ack));
BENCHMARK_CAPTURE(parse_and_hash, ip4_icmp_echo, FrameBuilder(ip4).echo(1, 2).payload(56));
BENCHMARK_CAPTURE(parse_and_hash, ip4_later_fragment,
                  FrameBuilder(ip4).udp(1, 53).fragment(1, 1480, false).payload(100));
BENCHMARK_CAPTURE(parse_and_hash, ip6_tcp, FrameBuilder(ip6).tcp(1, 80, tcp_ack).payload(10));
BENCHMARK_CAPTURE(parse_and_hash, ip6_udp_extension,
                  FrameBuilder(ip6).extension(60, {0, 1, 4, 0, 0, 0, 0}).udp(1, 53).payload(18));

void symmetric_hash_alone(benchmark::State& state) {
    Tuple tuple = ip4.packet().packet().tuple;
    for (auto _ : state) {
        tuple.src_port = static_cast<std::uint16_t>(tuple.src_port + 1);
        benchmark::DoNotOptimize(symmetric_hash(tuple));
    }
}
BENCHMARK(symmetric_hash_alone);

void l4_checksum(benchmark::State& state) {
    PacketBuffer buffer =
        FrameBuilder(ip4).udp(1, 2).payload(static_cast<std::size_t>(state.range(0))).packet();
    parse(buffer.packet());
    for (auto _ : state) benchmark::DoNotOptimize(l4_checksum_ok(buffer.packet()));
    state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(l4_checksum)->Arg(18)->Arg(1400)->Arg(8900);

void encapsulate_with_smd(benchmark::State& state) {
    PacketBuffer buffer = FrameBuilder(ip4).tcp(1, 80, tcp_ack).payload(64).packet();
    const OuterAddresses way{ip4.spec().src, ip4.spec().dst, Mac{{2}}, Mac{{2, 1}}, 0};
    Smd smd;
    smd.si = smd.initial_si = 2;
    for (auto _ : state) {
        const std::uint32_t before = buffer.packet().length;
        push_geneve(buffer.packet(), 9001, &smd, nullptr, nullptr, false);
        push_outer(buffer.packet(), way, 50000, 64);
        buffer.packet().strip(buffer.packet().length - before);
    }
}
BENCHMARK(encapsulate_with_smd);

void decode_with_smd(benchmark::State& state) {
    PacketBuffer buffer = FrameBuilder(ip4).tcp(1, 80, tcp_ack).payload(64).packet();
    Smd smd;
    smd.si = smd.initial_si = 2;
    push_geneve(buffer.packet(), 9001, &smd, nullptr, nullptr, false);
    GeneveView view;
    for (auto _ : state) {
        benchmark::DoNotOptimize(decode(buffer.packet().bytes(), view));
        benchmark::DoNotOptimize(check_smd(*view.smd));
    }
}
BENCHMARK(decode_with_smd);

}  // namespace
}  // namespace weir::net
