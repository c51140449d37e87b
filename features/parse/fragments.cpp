#include "features/parse/fragments.hpp"

#include "dataplane/dispatch.hpp"

namespace weir::parse {

namespace {

using dataplane::Packet;
constexpr std::uint64_t memory_ns = 30'000'000'000;  // DP-12
constexpr std::uint64_t hold_ns = 1'000'000'000;
constexpr std::size_t held_per_datagram = 8;
constexpr std::size_t probes = 4;
constexpr std::size_t orphans_at_once = 4;  // of a millisecond: their rules are read one by one

bool same(const Fragments::Datagram& d, const Packet& p) {
    return d.id == p.headers.fragment_id && d.vni == p.vni && d.proto == p.tuple.proto &&
           d.src == p.tuple.src && d.dst == p.tuple.dst;
}

bool same(const Packet& a, const Packet& b) {
    return a.headers.fragment_id == b.headers.fragment_id && a.vni == b.vni &&
           a.tuple.proto == b.tuple.proto && a.tuple.src == b.tuple.src &&
           a.tuple.dst == b.tuple.dst;
}

std::size_t home_slot(const Packet& p, std::size_t slots) {
    return (net::address_hash(p.tuple.src, p.tuple.dst, p.tuple.proto) ^
            p.headers.fragment_id * 0x9e3779b1u) %
           slots;
}

Fragments::Datagram* find(Fragments::State& state, const Packet& p, std::uint64_t now) {
    const std::size_t at = home_slot(p, state.datagrams.size());
    for (std::size_t i = 0; i < probes; ++i) {
        Fragments::Datagram& d = state.datagrams[(at + i) % state.datagrams.size()];
        if (d.expires_ns > now && same(d, p)) return &d;
    }
    return nullptr;
}

// Takes the place of the datagram that expires first when all places are in use.
void remember(Fragments::State& state, const Packet& p, std::uint64_t now) {
    const std::size_t at = home_slot(p, state.datagrams.size());
    Fragments::Datagram* place = find(state, p, now);
    for (std::size_t i = 0; !place && i < probes; ++i) {
        Fragments::Datagram& d = state.datagrams[(at + i) % state.datagrams.size()];
        if (d.expires_ns <= now) place = &d;
    }
    if (!place) {
        place = &state.datagrams[at];
        for (std::size_t i = 1; i < probes; ++i) {
            Fragments::Datagram& d = state.datagrams[(at + i) % state.datagrams.size()];
            if (d.expires_ns < place->expires_ns) place = &d;
        }
    }
    *place = {p.tuple.src,           p.tuple.dst,     p.vni,
              p.headers.fragment_id, now + memory_ns, p.tuple.src_port,
              p.tuple.dst_port,      p.tuple.proto};
    ++state.remembered;
}

// The ports are known now; true when the packet left for the flow's owner.
bool proceed(Packet& p, std::uint16_t src_port, std::uint16_t dst_port, dataplane::Emit& emit) {
    p.hand.fragment_known = 1;
    p.hand.fragment_src_port = p.tuple.src_port = src_port;
    p.hand.fragment_dst_port = p.tuple.dst_port = dst_port;
    p.hash = net::symmetric_hash(p.tuple);
    return dataplane::dispatch(p, emit);
}

using Held = decltype(Fragments::State::held)::Held;

// The program may have changed since: the port may be gone, or its index another port's.
bool port_is_there(const Held& held, const dataplane::Emit& emit) {
    const dataplane::PortEntry* port = emit.ports->at(dataplane::context_port(*held.packet));
    return port && port->incarnation == held.what.incarnation;
}

// Later fragments that came before their first one go on now.
void free_held(Fragments::State& state, const Packet& first,
               dataplane::Exits<Fragments::Exit>& exits, dataplane::Emit& emit) {
    state.held.release([&](Held& held) {
        Packet& p = *held.packet;
        if (!same(p, first)) return false;
        if (!port_is_there(held, emit)) {
            exits.note(Fragments::Exit::port_gone);
            emit.release(p);
        } else if (!proceed(p, first.tuple.src_port, first.tuple.dst_port, emit)) {
            emit.enter(p, held.what.context);
        }
        return true;
    });
}

bool hold(Fragments::State& state, Packet& p, dataplane::Emit& emit) {
    std::size_t mine = 0;
    state.held.each([&](const Held& held) { mine += same(*held.packet, p); });
    if (mine >= held_per_datagram) return false;
    const dataplane::PortEntry* port = emit.ports->at(dataplane::context_port(p));
    return state.held.hold(
        p, emit.now_ns + hold_ns,
        {static_cast<dataplane::Context>(p.context), port ? port->incarnation : 0}, emit);
}

}  // namespace

void Fragments::run(dataplane::Burst& burst, const Tables&, State& state,
                    dataplane::Exits<Exit>& exits, dataplane::Emit& emit) {
    for (Packet* p : burst.packets()) {
        if (!dataplane::is_fragment(p->headers) || p->hand.fragment_known) continue;
        if (p->headers.fragment == net::Fragment::first) {
            remember(state, *p, emit.now_ns);
            free_held(state, *p, exits, emit);
            proceed(*p, p->tuple.src_port, p->tuple.dst_port, emit);
        } else if (const Datagram* d = find(state, *p, emit.now_ns)) {
            proceed(*p, d->src_port, d->dst_port, emit);
        } else if (!hold(state, *p, emit)) {
            exits.take(*p, Exit::hold_full);
        }
    }
}

void Fragments::tick(const Tables&, State& state, dataplane::Exits<Exit>& exits,
                     dataplane::Emit& emit) {
    std::size_t looks = orphans_at_once;
    state.held.release([&](Held& held) {
        if (held.until_ns > emit.now_ns || looks == 0) return false;
        --looks;
        Packet& p = *held.packet;
        if (!port_is_there(held, emit)) {
            exits.note(Exit::port_gone);
            emit.release(p);
            return true;
        }
        ++state.orphans;
        p.hand.fragment_known = net::fragment_orphan;
        emit.enter(p, held.what.context);
        return true;
    });
}

void Fragments::leave(State& state, dataplane::Exits<Exit>&, dataplane::Emit& emit) {
    state.held.release([&](Held& held) {
        emit.hand_to_engine(*held.packet);
        return true;
    });
}

}  // namespace weir::parse
