#include "features/chain/node/flow_contexts.hpp"

#include <atomic>

#include "net/bytes.hpp"
#include "net/hash.hpp"
#include "net/wire.hpp"

namespace weir::chain {
namespace {

constexpr std::uint64_t second = 1'000'000'000;
constexpr std::uint64_t forgotten_ns = second;  // a packet inside for longer will not come back

std::uint32_t share_of(std::uint32_t workers) {
    return max_flow_contexts / workers;
}

std::uint32_t mixed(std::uint64_t a, std::uint64_t b) {
    const std::uint64_t hash =
        net::detail::multiply_fold(a ^ net::hash_seed[0], b ^ net::hash_seed[1]);
    return static_cast<std::uint32_t>(hash ^ hash >> 32);
}

std::uint32_t hash_of(std::uint8_t node, const net::Tuple& tuple, bool reverse) {
    return mixed(net::symmetric_hash(tuple), std::uint64_t{node} << 1 | (reverse ? 1u : 0u));
}

// The metadata that a context has, whichever direction it was.
const net::Smd& any_of(const FlowContext& context) {
    return context.smd[context.knows(false) ? 0 : 1];
}

std::uint32_t hash_of(std::uint8_t node, const net::Smd& smd, bool reverse) {
    return mixed(
        std::uint64_t{smd.anchor_host} << 32 | smd.anchor_port,
        std::uint64_t{smd.flow_handle} << 32 | smd.spi << 8 | node << 1 | (reverse ? 1u : 0u));
}

std::uint32_t hash_of(const FlowContext& context, ContextOf of) {
    if (of == ContextOf::tuple) return hash_of(context.node, context.tuple, context.knows(true));
    return hash_of(context.node, any_of(context),
                   of == ContextOf::direction && context.knows(true));
}

std::uint32_t hash_of(const FlowContexts::Delivery& d) {
    if (d.of == ContextOf::tuple) return hash_of(d.node, d.tuple, d.smd.reverse);
    return hash_of(d.node, d.smd, d.of == ContextOf::direction && d.smd.reverse);
}

bool same_flow(const net::Smd& a, const net::Smd& b) {
    return a.flow_handle == b.flow_handle && a.anchor_host == b.anchor_host &&
           a.anchor_port == b.anchor_port && a.spi == b.spi;
}

net::Tuple forward(const net::Tuple& tuple, bool reverse) {
    return reverse ? tuple.reversed() : tuple;
}

bool matches(const FlowContext& context, const FlowContexts::Delivery& d) {
    if (context.node != d.node) return false;
    if (d.of == ContextOf::tuple)
        return context.knows(d.smd.reverse) && context.tuple == forward(d.tuple, d.smd.reverse);
    if (d.of == ContextOf::direction && !context.knows(d.smd.reverse)) return false;
    return same_flow(any_of(context), d.smd);
}

// A flow that the same anchor knows by another handle is the same flow, begun anew.
bool may_share_addresses(const net::Smd& a, const net::Smd& b) {
    return a.anchor_host == b.anchor_host && a.anchor_port == b.anchor_port &&
           a.tenant_vni == b.tenant_vni && a.spi == b.spi;
}

ContextAge age_of(const FlowContexts::Delivery& d) {
    if (d.headers.icmp_error) return ContextAge::brief;
    if (d.of == ContextOf::tuple && d.headers.fragment == net::Fragment::later)
        return ContextAge::fragment;
    return context_age(d.headers.proto, d.headers.tcp_flags);
}

}  // namespace

net::Tuple tuple_key(const net::Headers& headers, const net::Tuple& tuple) {
    if (headers.fragment != net::Fragment::later) return tuple;
    net::Tuple key = tuple;
    key.src_port = static_cast<std::uint16_t>(headers.fragment_id >> 16);
    key.dst_port = static_cast<std::uint16_t>(headers.fragment_id);
    return key;
}

namespace {

constexpr unsigned guard_bits = 15;
static_assert(max_flow_contexts <= 1u << (32 - guard_bits));

}  // namespace

// Numbers go from 1 to 2^17.
std::uint32_t context_cookie(const NodeSecret& secret, std::uint32_t id, std::uint64_t salt) {
    std::array<std::uint8_t, 12> bytes{};
    net::store32(bytes.data(), id);
    net::store64(bytes.data() + 4, salt);
    const auto guard = static_cast<std::uint32_t>(net::siphash24(secret, bytes));
    return (id - 1) << guard_bits | (guard & ((1u << guard_bits) - 1));
}

std::uint32_t id_of_cookie(std::uint32_t cookie) {
    return (cookie >> guard_bits) + 1;
}

TwoTags tags_of(std::uint32_t id) {
    return {static_cast<std::uint16_t>(1 + (id - 1) / max_contexts),
            static_cast<std::uint16_t>(1 + (id - 1) % max_contexts)};
}

std::uint32_t id_of(const TwoTags& tags) {
    if (tags.outer == 0 || tags.inner == 0 || tags.inner > max_contexts) return no_context_id;
    const std::uint32_t id = (tags.outer - 1u) * max_contexts + tags.inner;
    return id <= max_flow_contexts ? id : no_context_id;
}

std::uint32_t flow_context_owner(std::uint32_t id, std::uint32_t workers) {
    if (id == no_context_id || id > max_flow_contexts) return workers;
    const std::uint32_t owner = (id - 1) / share_of(workers);
    return owner < workers ? owner : workers;
}

FlowContexts::FlowContexts(FlowContextMemory& memory, RenumberedMemory& renumbered,
                           std::uint32_t worker, std::uint32_t workers)
    : memory_(&memory),
      part_(&memory.parts[worker]),
      renumbered_(&renumbered.parts[worker]),
      first_(1 + worker * share_of(workers)),
      count_(share_of(workers)),
      of_node_(max_flow_contexts_of_node / workers),
      workers_(workers) {}

void FlowContexts::clear() {
    part_->workers = 0;  // a kill from here on leaves a share that is cleared again
    for (std::uint32_t i = 0; i < count_; ++i) memory_->buckets[first_ + i] = no_context_id;
    part_->shares = {};
    part_->touched = 0;
    part_->free = no_context_id;
    renumbered_->count = 0;
    part_->workers = workers_;
}

void FlowContexts::recover() {
    if (part_->workers != workers_ || part_->touched > count_) return clear();
    for (FlowContextMemory::Share& share : part_->shares) {
        share.lists = {};
        share.used = 0;
    }
    part_->free = no_context_id;
    for (std::uint32_t i = 0; i < count_; ++i) memory_->buckets[first_ + i] = no_context_id;
    for (std::uint32_t i = part_->touched; i-- > 0;) {
        const std::uint32_t id = first_ + i;
        FlowContext& context = at(id);
        if (!context.live || context.age >= ContextAge::count_ || context.node >= max_local_nodes) {
            context = {};
            push_free(id);
            continue;
        }
        context.sampled_ns = 0;
        std::uint32_t& bucket = bucket_of(context.hash);
        context.next_in_bucket = bucket;
        bucket = id;
        append(id);
        ++part_->shares[context.node].used;
    }
}

void FlowContexts::claim(std::uint8_t node, std::uint32_t epoch) {
    FlowContextMemory::Share& share = part_->shares[node];
    if (share.epoch == epoch) return;
    for (const FlowContextMemory::List& list : share.lists)
        while (list.oldest != no_context_id) remove(list.oldest);
    share.epoch = epoch;
}

FlowContext* FlowContexts::find(std::uint32_t id, std::uint8_t node, std::uint64_t now_ns) {
    if (id < first_ || id >= first_ + count_) return nullptr;
    FlowContext* context = &at(id);
    if (!context->live || context->node != node) {
        const RenumberedMemory::One* one = renumbered(id, node, now_ns);
        if (!one) return nullptr;
        context = &at(one->is);
    }
    return context->live && context->node == node && !is_over(*context, now_ns) ? context : nullptr;
}

const RenumberedMemory::One* FlowContexts::renumbered(std::uint32_t was, std::uint8_t node,
                                                      std::uint64_t now_ns) {
    bool any = false;
    if (renumbered_->count > RenumberedMemory::most) renumbered_->count = 0;  // damaged
    for (std::uint32_t i = 0; i < renumbered_->count; ++i) {
        const RenumberedMemory::One& one = renumbered_->ones[i];
        if (!is_current(one, now_ns)) continue;
        any = true;
        if (one.was == was && one.node == node) return &one;
    }
    if (!any) renumbered_->count = 0;
    return nullptr;
}

bool FlowContexts::is_named(const FlowContext& context, std::uint32_t cookie,
                            std::uint64_t now_ns) {
    if (context.cookie == cookie) return true;
    const RenumberedMemory::One* one = renumbered(id_of_cookie(cookie), context.node, now_ns);
    return one && one->is == id_of(context) && one->cookie == cookie;
}

// What is over makes room.
void FlowContexts::note_renumbered(std::uint32_t was, std::uint32_t is, std::uint64_t now_ns) {
    const FlowContext& context = at(is);
    const RenumberedMemory::One fresh{
        was,          is, context.cookie, part_->shares[context.node].epoch, now_ns + renumbered_ns,
        context.node};
    std::uint32_t& count = renumbered_->count;
    for (std::uint32_t i = 0; i < count; ++i) {
        RenumberedMemory::One& one = renumbered_->ones[i];
        if (is_current(one, now_ns)) continue;
        one = fresh;
        return;
    }
    if (count < RenumberedMemory::most) renumbered_->ones[count++] = fresh;
}

// No packet carries this number for a context that has another's place.
bool FlowContexts::move_aside(std::uint32_t id, std::uint8_t node, ContextOf of,
                              std::uint64_t now_ns) {
    const FlowContext aside = at(id);
    if (!aside.live || aside.node != node) return false;
    remove(id);
    if (!unlink_free(id)) return false;
    const FlowContext* moved = add(aside, of, now_ns);
    for (std::uint32_t i = 0; moved && i < renumbered_->count; ++i)
        if (RenumberedMemory::One& one = renumbered_->ones[i];
            one.is == id && one.node == node && is_current(one, now_ns))
            one.is = id_of(*moved);
    return true;
}

FlowContext* FlowContexts::find(const net::Tuple& tuple, bool reverse, std::uint8_t node,
                                std::uint64_t now_ns) {
    const std::uint32_t hash = hash_of(node, tuple, reverse);
    const net::Tuple turned = forward(tuple, reverse);
    for (std::uint32_t id = bucket_of(hash); id != no_context_id; id = at(id).next_in_bucket) {
        FlowContext& context = at(id);
        if (context.hash == hash && context.node == node && context.knows(reverse) &&
            context.tuple == turned)
            return is_over(context, now_ns) ? nullptr : &context;
    }
    return nullptr;
}

FlowContext* FlowContexts::make(const Delivery& d, std::uint32_t hash, std::uint64_t now_ns) {
    const std::uint32_t id = take(d.node, now_ns);
    if (id == no_context_id) return nullptr;
    FlowContext& fresh = at(id);
    fresh = {};
    fresh.hash = hash;
    fresh.node = d.node;
    fresh.age = age_of(d);
    fresh.tuple = forward(d.tuple, d.smd.reverse);
    fresh.of(d.smd.reverse) = d.smd;
    fresh.known = d.smd.reverse ? 2 : 1;
    std::uint32_t& bucket = bucket_of(hash);
    fresh.next_in_bucket = bucket;
    bucket = id;
    ++part_->shares[d.node].used;
    append(id);
    std::atomic_ref(fresh.live).store(1, std::memory_order_release);
    return &fresh;
}

FlowContexts::Refreshed FlowContexts::refresh(const Delivery& d, std::uint64_t now_ns) {
    const std::uint32_t hash = hash_of(d);
    std::uint32_t id = bucket_of(hash);
    while (id != no_context_id && !(at(id).hash == hash && matches(at(id), d)))
        id = at(id).next_in_bucket;
    FlowContext* context = nullptr;
    if (id == no_context_id) {
        context = make(d, hash, now_ns);
        if (!context) return {};
    } else {
        context = &at(id);
        if (now_ns - context->used_ns > forgotten_ns) context->inside = 0;
        if (d.of == ContextOf::tuple && context->inside != 0 &&
            !may_share_addresses(context->of(d.smd.reverse), d.smd))
            return {nullptr, true};
        unlink(id);
        if (!d.headers.icmp_error) context->age = next_context_age(context->age, age_of(d));
        append(id);
    }
    context->of(d.smd.reverse) = d.smd;
    context->known |= d.smd.reverse ? 2 : 1;
    if ((d.headers.tcp_flags & (net::tcp_syn | net::tcp_ack)) == net::tcp_syn)
        context->answered = 0;
    if (context->inside == 0) context->sampled_ns = 0;
    context->used_ns = now_ns;
    return {context, false};
}

FlowContext& FlowContexts::link(std::uint32_t id, const FlowContext& context, ContextOf of) {
    FlowContext& fresh = at(id);
    fresh = context;
    fresh.hash = hash_of(context, of);
    std::uint32_t& bucket = bucket_of(fresh.hash);
    fresh.next_in_bucket = bucket;
    bucket = id;
    ++part_->shares[fresh.node].used;
    append(id);
    std::atomic_ref(fresh.live).store(1, std::memory_order_release);
    return fresh;
}

bool FlowContexts::put(std::uint32_t id, const FlowContext& context, ContextOf of,
                       std::uint64_t now_ns) {
    if (id < first_ || id >= first_ + count_) return false;
    if (part_->shares[context.node].used >= of_node_) return false;
    if (id - first_ < part_->touched) {
        const bool has_room = at(id).live ? move_aside(id, context.node, of, now_ns)
                                          : unlink_free(id);
        if (!has_room) return false;
    } else {
        for (; first_ + part_->touched < id; ++part_->touched) {
            at(first_ + part_->touched).live = 0;
            push_free(first_ + part_->touched);
        }
        ++part_->touched;
    }
    link(id, context, of);
    return true;
}

bool FlowContexts::holds(const FlowContext& context, ContextOf of) const {
    const std::uint32_t hash = hash_of(context, of);
    std::uint32_t id = memory_->buckets[first_ + hash % count_];
    for (; id != no_context_id; id = memory_->contexts[id].next_in_bucket) {
        const FlowContext& there = memory_->contexts[id];
        if (there.hash == hash && there.node == context.node && there.known == context.known &&
            there.tuple == context.tuple && same_flow(any_of(there), any_of(context)))
            return true;
    }
    return false;
}

FlowContext* FlowContexts::add(const FlowContext& context, ContextOf of, std::uint64_t now_ns,
                               std::uint32_t was) {
    const std::uint32_t id = take(context.node, now_ns);
    if (id == no_context_id) return nullptr;
    FlowContext& added = link(id, context, of);
    if (was != no_context_id) note_renumbered(was, id, now_ns);
    return &added;
}

// A free number, or one whose time has passed, or that of the node's connection closed longest ago.
std::uint32_t FlowContexts::take(std::uint8_t node, std::uint64_t now_ns) {
    const FlowContextMemory::Share& share = part_->shares[node];
    const auto none_left = [&] {
        return share.used >= of_node_ || (part_->free == no_context_id && part_->touched >= count_);
    };
    if (none_left()) expire(node, now_ns, 1);
    if (none_left()) {
        const std::uint32_t oldest =
            share.lists[static_cast<std::size_t>(ContextAge::finished)].oldest;
        if (oldest == no_context_id || now_ns - at(oldest).used_ns < finished_grace_ns)
            return no_context_id;
        remove(oldest);
    }
    // Not one that packets of the node still carry for another context.
    std::uint32_t id = part_->free;
    while (id != no_context_id && renumbered(id, node, now_ns)) id = at(id).next_in_bucket;
    if (id != no_context_id && unlink_free(id)) return id;
    if (part_->touched >= count_) return no_context_id;
    id = first_ + part_->touched++;
    if (!renumbered(id, node, now_ns)) return id;
    at(id).live = 0;
    push_free(id);
    return no_context_id;
}

void FlowContexts::push_free(std::uint32_t id) {
    at(id).older = no_context_id;
    at(id).next_in_bucket = part_->free;
    if (part_->free != no_context_id) at(part_->free).older = id;
    part_->free = id;
}

// False: it is not in the list, as far as its neighbours know.
bool FlowContexts::unlink_free(std::uint32_t id) {
    const std::uint32_t before = at(id).older, behind = at(id).next_in_bucket;
    if (before != no_context_id && (before < first_ || before >= first_ + count_)) return false;
    std::uint32_t& link = before == no_context_id ? part_->free : at(before).next_in_bucket;
    if (link != id) return false;
    link = behind;
    if (behind != no_context_id) at(behind).older = before;
    return true;
}

void FlowContexts::expire(std::uint8_t node, std::uint64_t now_ns, unsigned most) {
    for (const FlowContextMemory::List& list : part_->shares[node].lists) {
        while (most > 0 && list.oldest != no_context_id && is_over(at(list.oldest), now_ns)) {
            remove(list.oldest);
            --most;
        }
    }
}

void FlowContexts::remove(std::uint32_t id) {
    FlowContext& context = at(id);
    std::atomic_ref(context.live).store(0, std::memory_order_release);
    std::uint32_t* link = &bucket_of(context.hash);
    while (*link != id) link = &at(*link).next_in_bucket;
    *link = context.next_in_bucket;
    unlink(id);
    push_free(id);
    --part_->shares[context.node].used;
}

void FlowContexts::append(std::uint32_t id) {
    FlowContext& context = at(id);
    FlowContextMemory::List& list =
        part_->shares[context.node].lists[static_cast<std::size_t>(context.age)];
    context.older = list.newest;
    context.newer = no_context_id;
    if (list.newest != no_context_id) {
        at(list.newest).newer = id;
    } else {
        list.oldest = id;
    }
    list.newest = id;
}

void FlowContexts::unlink(std::uint32_t id) {
    FlowContext& context = at(id);
    FlowContextMemory::List& list =
        part_->shares[context.node].lists[static_cast<std::size_t>(context.age)];
    (context.older != no_context_id ? at(context.older).newer : list.oldest) = context.newer;
    (context.newer != no_context_id ? at(context.newer).older : list.newest) = context.older;
}

}  // namespace weir::chain
