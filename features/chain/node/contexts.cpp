#include "features/chain/node/contexts.hpp"

#include <atomic>

#include "net/hash.hpp"
#include "net/wire.hpp"

namespace weir::chain {
namespace {

constexpr std::uint64_t second = 1'000'000'000;
constexpr std::uint64_t forgotten_ns = second;  // a packet inside for longer will not come back

std::uint16_t share(std::uint32_t workers) {
    return static_cast<std::uint16_t>(max_contexts / workers);
}

// One context per flow and direction: the handle names the flow on its anchor, the path tells an
// old path's packets from a new one's.
std::uint32_t hash_of(const net::Smd& smd) {
    const std::uint64_t a = net::detail::multiply_fold(
        (std::uint64_t{smd.anchor_host} << 32 | smd.anchor_port) ^ net::hash_seed[0],
        (std::uint64_t{smd.flow_handle} << 32 | smd.spi << 1 | (smd.reverse ? 1u : 0u)) ^
            net::hash_seed[1]);
    return static_cast<std::uint32_t>(a ^ a >> 32);
}

bool same_flow(const net::Smd& a, const net::Smd& b) {
    return a.flow_handle == b.flow_handle && a.anchor_host == b.anchor_host &&
           a.anchor_port == b.anchor_port && a.spi == b.spi && a.reverse == b.reverse;
}

}  // namespace

std::uint64_t context_lifetime_ns(ContextAge age) {
    if (age == ContextAge::fragment) return 2 * second;
    return age == ContextAge::established ? 4 * 3600 * second : 120 * second;
}

ContextAge context_age(std::uint8_t proto, std::uint8_t flags) {
    if (proto != net::proto_tcp) return ContextAge::brief;
    if (flags & (net::tcp_fin | net::tcp_rst)) return ContextAge::finished;
    return flags & net::tcp_syn ? ContextAge::brief : ContextAge::established;
}

ContextAge next_context_age(ContextAge now, ContextAge seen) {
    return now == ContextAge::finished && seen == ContextAge::established ? now : seen;
}

std::uint32_t context_owner(std::uint16_t vlan, std::uint32_t workers) {
    if (vlan == no_vlan || vlan > max_contexts) return workers;
    const std::uint32_t owner = (vlan - 1u) / share(workers);
    return owner < workers ? owner : workers;
}

Contexts::Contexts(ContextSlab& slab, std::uint32_t worker, std::uint32_t workers)
    : slab_(&slab),
      part_(&slab.parts[worker]),
      first_(static_cast<std::uint16_t>(1 + worker * share(workers))),
      count_(share(workers)),
      workers_(static_cast<std::uint16_t>(workers)) {}

void Contexts::claim(std::uint32_t epoch) {
    if (part_->epoch != epoch || part_->workers != workers_) clear(epoch);
}

void Contexts::clear(std::uint32_t epoch) {
    part_->epoch = 0;  // a kill from here on leaves a share that is cleared again
    for (std::uint32_t i = 0; i < count_; ++i) {
        const auto vlan = static_cast<std::uint16_t>(first_ + i);
        slab_->buckets[vlan] = no_vlan;
        Context& context = at(vlan);
        context = {};
        context.next_in_bucket = i + 1 < count_ ? static_cast<std::uint16_t>(vlan + 1) : no_vlan;
    }
    part_->lists = {};
    part_->used = 0;
    part_->free = first_;
    part_->workers = workers_;
    part_->epoch = epoch;
}

void Contexts::recover(std::uint32_t epoch) {
    if (part_->epoch != epoch || part_->workers != workers_) return clear(epoch);
    part_->lists = {};
    part_->used = 0;
    part_->free = no_vlan;
    for (std::uint32_t i = 0; i < count_; ++i) slab_->buckets[first_ + i] = no_vlan;
    for (std::uint32_t i = count_; i-- > 0;) {
        const auto vlan = static_cast<std::uint16_t>(first_ + i);
        Context& context = at(vlan);
        if (!context.live || context.age >= ContextAge::count_) {
            context = {};
            context.next_in_bucket = part_->free;
            part_->free = vlan;
            continue;
        }
        context.hash = hash_of(context.smd);
        context.sampled_ns = 0;  // what is inside stays so: less than there is would be worse
        std::uint16_t& bucket = bucket_of(context.hash);
        context.next_in_bucket = bucket;
        bucket = vlan;
        append(vlan);
        ++part_->used;
    }
}

bool Contexts::expired(const Context& context, std::uint64_t now_ns) const {
    return now_ns - context.used_ns >= context_lifetime_ns(context.age) && now_ns > context.used_ns;
}

Context* Contexts::find(std::uint16_t vlan, std::uint64_t now_ns) {
    if (vlan < first_ || vlan >= first_ + count_) return nullptr;
    Context& context = at(vlan);
    return context.live && !expired(context, now_ns) ? &context : nullptr;
}

bool Contexts::put(std::uint16_t vlan, const Context& context) {
    if (vlan < first_ || vlan >= first_ + count_ || at(vlan).live) return false;
    at(vlan) = context;
    std::atomic_ref(at(vlan).live).store(1, std::memory_order_release);
    return true;
}

std::uint16_t Contexts::look_up(const net::Smd& smd, std::uint32_t hash) const {
    std::uint16_t vlan = slab_->buckets[first_ + hash % count_];
    for (; vlan != no_vlan; vlan = slab_->contexts[vlan].next_in_bucket) {
        const Context& context = slab_->contexts[vlan];
        if (context.hash == hash && same_flow(context.smd, smd)) break;
    }
    return vlan;
}

bool Contexts::is_known(const net::Smd& smd) const {
    return look_up(smd, hash_of(smd)) != no_vlan;
}

Context* Contexts::refresh(const net::Smd& smd, std::uint8_t proto, std::uint8_t tcp_flags,
                           std::uint64_t now_ns) {
    const std::uint32_t hash = hash_of(smd);
    std::uint16_t vlan = look_up(smd, hash);
    const ContextAge seen = context_age(proto, tcp_flags);
    if (vlan == no_vlan) {
        vlan = take(now_ns);
        if (vlan == no_vlan) return nullptr;
        Context& fresh = at(vlan);
        fresh = {};
        fresh.smd = smd;
        fresh.hash = hash;
        fresh.age = seen;
        std::uint16_t& bucket = bucket_of(hash);
        fresh.next_in_bucket = bucket;
        bucket = vlan;
        ++part_->used;
        append(vlan);
        std::atomic_ref(fresh.live).store(1, std::memory_order_release);
    } else {
        unlink(vlan);
        at(vlan).age = next_context_age(at(vlan).age, seen);
        append(vlan);
    }
    Context& context = at(vlan);
    context.smd = smd;
    if (now_ns - context.used_ns > forgotten_ns) {
        context.inside = 0;
        context.sampled_ns = 0;
    }
    context.used_ns = now_ns;
    return &context;
}

// A free id, or one whose time has passed, or that of the connection closed longest ago.
std::uint16_t Contexts::take(std::uint64_t now_ns) {
    if (part_->free == no_vlan) expire(now_ns, 1);
    if (part_->free == no_vlan) {
        const std::uint16_t oldest =
            part_->lists[static_cast<std::size_t>(ContextAge::finished)].oldest;
        if (oldest == no_vlan || now_ns - at(oldest).used_ns < finished_grace_ns) return no_vlan;
        remove(oldest);
    }
    const std::uint16_t vlan = part_->free;
    part_->free = at(vlan).next_in_bucket;
    return vlan;
}

void Contexts::expire(std::uint64_t now_ns, unsigned most) {
    for (std::size_t age = 0; age < context_ages; ++age) {
        while (most > 0) {
            const std::uint16_t oldest = part_->lists[age].oldest;
            if (oldest == no_vlan || !expired(at(oldest), now_ns)) break;
            remove(oldest);
            --most;
        }
    }
}

void Contexts::remove(std::uint16_t vlan) {
    Context& context = at(vlan);
    std::atomic_ref(context.live).store(0, std::memory_order_release);
    std::uint16_t* link = &bucket_of(context.hash);
    while (*link != vlan) link = &at(*link).next_in_bucket;
    *link = context.next_in_bucket;
    unlink(vlan);
    context.next_in_bucket = part_->free;
    part_->free = vlan;
    --part_->used;
}

void Contexts::append(std::uint16_t vlan) {
    ContextSlab::List& list = part_->lists[static_cast<std::size_t>(at(vlan).age)];
    at(vlan).older = list.newest;
    at(vlan).newer = no_vlan;
    if (list.newest != no_vlan) {
        at(list.newest).newer = vlan;
    } else {
        list.oldest = vlan;
    }
    list.newest = vlan;
}

void Contexts::unlink(std::uint16_t vlan) {
    Context& context = at(vlan);
    ContextSlab::List& list = part_->lists[static_cast<std::size_t>(context.age)];
    (context.older != no_vlan ? at(context.older).newer : list.oldest) = context.newer;
    (context.newer != no_vlan ? at(context.newer).older : list.newest) = context.older;
}

}  // namespace weir::chain
