// The smallest engine there is: what port 2n receives goes out of port 2n+1 and back. It keeps one
// counter per port, in a vault pool, so that tests see what survives what.
//
//   publish   the bytes are kept; "refuse publish" is refused; "refuse attach" makes attach()
//   refuse run       bytes go through as they are save      the port's count, as eight bytes;
//   restore compares it with what the pool says.
//             "refuse save of b" refuses that of port 1; "keep both engines" in build "two" that of
//             port 0 as well
//   query     {"rows":[{"metric":"test_packets_total","labels":{"port":"0"},"value":n},…]}, and
//             weir_limit_hits_total{table="tests"}: n of all ports; "without_shared": nothing
#include <atomic>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "base/limits.hpp"
#include "dataplane/abi.hpp"

#ifndef TEST_ABI_VERSION
#define TEST_ABI_VERSION weir_abi_version
#endif

using weir::net::Packet;
namespace limits = weir::limits;

namespace {

constexpr std::uint8_t refused_mark = 0xdd, in_vain_mark = 0xee;  // behind the Ethernet header

// A global on purpose: two loaded copies must have two of it.
std::atomic<std::uint32_t> engines_alive{0};

enum class PortState : std::uint32_t { none, introduced, attached };

struct Counts {
    std::atomic<std::uint64_t> packets[limits::max_workers][limits::max_ports];
};

void say(weir_sink sink, const std::string& text) {
    sink.write(sink.context, text.data(), text.size());
}

std::string refusal(const char* field, const char* message) {
    return std::string(R"({"object":"test-engine","field":")") + field + R"(","message":")" +
           message + "\"}";
}

}  // namespace

struct weir_engine {
    const weir_host_vtable* host = nullptr;
    std::string published;
    std::uint64_t revision = 0;
    std::uint32_t instance = 0;
    Counts* counts = nullptr;
    std::uint32_t adoption = 0;
    std::atomic<PortState> ports[limits::max_ports]{};
    std::atomic<std::uint64_t> ticket{0};
    struct alignas(64) Seen {
        std::atomic<std::uint64_t> ticket{0};
        std::atomic<std::uint64_t> ticks{0};
    } seen[limits::max_workers];
};

namespace {

std::uint64_t next_ticket(weir_engine* e) {
    return e->ticket.fetch_add(1) + 1;
}

void note(weir_engine* e, std::uint32_t worker) {
    e->seen[worker].ticket.store(e->ticket.load());
}

weir_engine* create(const weir_host_vtable* host, const char*, std::uint32_t instance,
                    weir_sink error) {
    auto* e = new weir_engine;
    e->host = host;
    e->instance = instance;
    e->counts =
        static_cast<Counts*>(host->pool(host->host, "test", sizeof(Counts), 1, &e->adoption));
    if (!e->counts) {
        say(error, refusal("pool", "no memory"));
        delete e;
        return nullptr;
    }
    engines_alive.fetch_add(1);
    return e;
}

void destroy(weir_engine* e) {
    engines_alive.fetch_sub(1);
    delete e;
}

std::uint64_t publish(weir_engine* e, const char* bytes, std::size_t count, std::uint64_t revision,
                      weir_sink error) {
    const std::string text(bytes, count);
    if (text.find("refuse publish") != std::string::npos) {
        say(error, refusal("bytes", "asked to refuse"));
        return 0;
    }
    e->published = text;
    e->revision = revision;
    return next_ticket(e);
}

bool settled(weir_engine* e, std::uint64_t ticket) {
    for (std::uint32_t w = 0; w < e->host->workers; ++w)
        if (e->seen[w].ticket.load() < ticket) return false;
    return true;
}

std::uint64_t introduce(weir_engine* e, const weir_port_info* port, weir_sink) {
    e->ports[port->index].store(PortState::introduced);
    return next_ticket(e);
}

std::uint64_t attach(weir_engine* e, const weir_port_info* port, weir_sink error) {
    if (e->published.find("refuse attach") != std::string::npos) {
        say(error, refusal("port", "asked to refuse"));
        return 0;
    }
    e->ports[port->index].store(PortState::attached);
    return next_ticket(e);
}

std::uint64_t detach(weir_engine* e, std::uint32_t port) {
    e->ports[port].store(PortState::none);
    return next_ticket(e);
}

std::uint64_t quiesce(weir_engine* e, std::uint32_t port) {
    e->ports[port].store(PortState::introduced);
    return next_ticket(e);
}

std::uint64_t total(const weir_engine* e, std::uint32_t port) {
    std::uint64_t sum = 0;
    for (const auto& worker : e->counts->packets) sum += worker[port].load();
    return sum;
}

bool save(weir_engine* e, std::uint32_t port, bool, bool, weir_sink out, weir_sink error) {
    const bool keep_both = e->published == "keep both engines";
    if ((port == 1 && (keep_both || e->published == "refuse save of b")) ||
        (port == 0 && keep_both && std::strcmp(TEST_BUILD_ID, "two") == 0)) {
        say(error, refusal("save", "asked to refuse"));
        return false;
    }
    const std::uint64_t count = total(e, port);
    return out.write(out.context, reinterpret_cast<const char*>(&count), sizeof count);
}

bool restore(weir_engine* e, std::uint32_t port, bool in_place, const char* bytes,
             std::size_t count, weir_sink error) {
    std::uint64_t saved = 0;
    if (count != sizeof saved) {
        say(error, refusal("bytes", "not eight bytes"));
        return false;
    }
    std::memcpy(&saved, bytes, sizeof saved);
    if (!in_place || saved == total(e, port)) return true;  // else restore_slice() takes it
    say(error, refusal("bytes", "the pool and the saved count differ"));
    return false;
}

// Which ports are attached, for one burst: as with the real engine, a change that comes meanwhile
// is seen by the next one. Else what is sent after it would overtake what was handed on before.
class Attached {
public:
    explicit Attached(const weir_engine& engine) : engine_(engine) {}
    bool operator()(std::uint32_t port) {
        if (known_[port] == PortState::none) known_[port] = engine_.ports[port].load();
        return known_[port] == PortState::attached;
    }

private:
    const weir_engine& engine_;
    PortState known_[limits::max_ports]{};
};

// To the port's partner, which may be another engine's.
void forward(weir_engine* e, std::uint32_t worker, Packet* p, Attached& attached) {
    const std::uint32_t in = p->hand.port;
    const std::uint32_t out = in ^ 1u;
    e->counts->packets[worker][in].fetch_add(1);
    if (p->length > 14 && p->data[14] == refused_mark) {
        e->host->release(e->host->host, worker, &p, 1);
    } else if (attached(out)) {
        e->host->transmit(e->host->host, worker, out, &p, 1);
    } else {
        p->hand.port = out;
        p->hand.entry = weir::net::Entry::deliver;
        e->host->hand_to_engine(e->host->host, worker, &p, 1);
    }
}

std::uint32_t run(weir_engine* e, std::uint32_t worker, Packet** packets, std::uint32_t count,
                  std::uint64_t) {
    note(e, worker);
    Attached attached(*e);
    std::uint32_t in_vain = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
        if (packets[i]->hand.entry == weir::net::Entry::deliver) {
            e->host->transmit(e->host->host, worker, packets[i]->hand.port, packets + i, 1);
        } else {
            in_vain += packets[i]->length > 14 && packets[i]->data[14] == in_vain_mark;
            forward(e, worker, packets[i], attached);
        }
    }
    return in_vain;
}

void tick(weir_engine* e, std::uint32_t worker, std::uint64_t) {
    note(e, worker);
    e->seen[worker].ticks.fetch_add(1);
}

void leave(weir_engine*, std::uint32_t) {}

void query(weir_engine* e, const char* request, std::size_t count, weir_sink answer) {
    const std::string asked(request, count);
    say(answer, R"({"revision":)" + std::to_string(e->revision) + R"(,"adoption":)" +
                    std::to_string(e->adoption) + R"(,"alive":)" +
                    std::to_string(engines_alive.load()) + R"(,"published":)" +
                    std::to_string(e->published.size()) + "}");
}

void worker_query(weir_engine* e, std::uint32_t worker, const char* request, std::size_t count,
                  std::uint64_t, weir_sink answer) {
    if (std::string_view(request, count).find("without_shared") != std::string_view::npos)
        return say(answer, R"({"rows":[]})");
    std::string text = R"({"rows":[)";
    bool first = true;
    for (std::uint32_t port = 0; port < limits::max_ports; ++port) {
        if (e->ports[port].load() == PortState::none) continue;
        text += std::string(first ? "" : ",") +
                R"({"metric":"test_packets_total","labels":{"port":")" + std::to_string(port) +
                R"("},"value":)" + std::to_string(e->counts->packets[worker][port].load()) + "}";
        first = false;
    }
    std::uint64_t all = 0;
    for (const auto& packets : e->counts->packets[worker]) all += packets.load();
    text += std::string(first ? "" : ",") +
            R"({"metric":"weir_limit_hits_total","labels":{"table":"tests"},"value":)" +
            std::to_string(all) + "}";
    say(answer, text + "]}");
}

// To another host: each worker's share is its own count, as eight bytes.
std::uint32_t save_slice(weir_engine* e, std::uint32_t worker, std::uint32_t port, std::uint64_t,
                         weir_sink out, weir_sink) {
    const std::uint64_t count = e->counts->packets[worker][port].load();
    out.write(out.context, reinterpret_cast<const char*>(&count), sizeof count);
    return weir_slice_last;
}

bool restore_slice(weir_engine* e, std::uint32_t worker, std::uint32_t port, const char* bytes,
                   std::size_t count, std::uint64_t, weir_sink answer, weir_sink error) {
    std::uint64_t packets = 0;
    if (count != sizeof packets) {
        say(error, refusal("bytes", "not eight"));
        return false;
    }
    if (worker != 0) return true;
    std::memcpy(&packets, bytes, sizeof packets);
    e->counts->packets[worker][port].store(packets);
    say(answer, "hereaway");  // one pair of handles
    return true;
}

std::uint64_t forward(weir_engine* e, const weir_port_move* move, const char*, std::size_t,
                      weir_sink) {
    return move->to_host == weir::net::no_port ? quiesce(e, move->port) : detach(e, move->port);
}

const weir_engine_api api = {
    TEST_ABI_VERSION, TEST_BUILD_ID, "0.1-test", create,  destroy, publish,
    settled,          introduce,     attach,     quiesce, detach,  save,
    restore,          run,           tick,       leave,   query,   worker_query,
    save_slice,       restore_slice, forward};

}  // namespace

extern "C" __attribute__((visibility("default"))) const weir_engine_api* weir_engine_entry(void) {
    return &api;
}
