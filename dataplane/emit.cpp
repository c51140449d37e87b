#include "dataplane/emit.hpp"

#include <cstring>
#include <utility>

#include "dataplane/epoch_history.hpp"
#include "dataplane/stage.hpp"
#include "flow/table.hpp"

namespace weir::dataplane {

std::string_view context_name(Context context) {
    static constexpr std::string_view names[] = {"source", "destination", "underlay", "service",
                                                 "done"};
    return names[static_cast<std::size_t>(context)];
}

Emit::Emit(const weir_host_vtable& host, std::uint32_t worker_index)
    : worker(worker_index), workers(host.workers), host_(host) {
    for (std::uint32_t i = 0; i < limits::max_workers; ++i) to_workers_[i].to = i;
}

void Emit::transmit_box(Emit& e, Outbox& box) {
    e.host_.transmit(e.host_.host, e.worker, std::exchange(box.to, net::no_port),
                     box.packets.data(), box.count);
}

Packet* Emit::allocate() {
    Packet* p = nullptr;
    if (host_.allocate(host_.host, worker, &p, 1) != 1) {
        ++no_buffers_;
        return nullptr;
    }
    p->hand = {};
    p->clear_scratch();
    return p;
}

Packet* Emit::clone(const Packet& from) {
    Packet* p = allocate();
    if (!p) return nullptr;
    // Keep the head-room of the original, so that the copy takes the same tunnel headers.
    if (p->tailroom < from.length) {
        release(*p);
        ++no_buffers_;
        return nullptr;
    }
    std::uint8_t* data = p->data;
    const std::uint32_t headroom = p->headroom, tailroom = p->tailroom;
    void* const owner = p->owner;
    std::memcpy(data, from.data, from.length);
    *p = from;
    if (static_cast<const void*>(from.program) == from.program_room.data())
        p->program = std::launder(reinterpret_cast<ActionProgram*>(p->program_room.data()));
    p->data = data;
    p->headroom = headroom;
    p->tailroom = tailroom - from.length;
    p->owner = owner;
    p->slot = net::no_slot;
    return p;
}

void Emit::release(Packet& p) {
    leave(p);
    append(released_, p, [](Emit& e, Outbox& box) {
        e.host_.release(e.host_.host, e.worker, box.packets.data(), box.count);
    });
}

void Emit::drop(Packet& p) {
    release(p);
}

void Emit::enter(Packet& p, Context context, StageBits pending) {
    if (++p.hand.recirculations > limits::max_recirculations) {
        ++loops_;
        release(p);
        return;
    }
    start(p, context, pending);
}

void Emit::start(Packet& p, Context context, StageBits pending) {
    if (!queue(context).push(p)) {
        ++overflows_;
        release(p);
        return;
    }
    leave(p);
    p.context = static_cast<std::uint8_t>(context);
    p.pending = pending;
}

Emit::Outbox& Emit::box_of(std::uint32_t port) {
    Outbox* box = nullptr;
    for (Outbox& candidate : transmits_) {
        if (candidate.count != 0 && candidate.to == port) return candidate;
        if (candidate.count == 0 && !box) box = &candidate;
    }
    if (!box) {  // more ports in one burst than outboxes: send the first one early
        box = &transmits_[0];
        send(*box, transmit_box);
    }
    box->to = port;
    return *box;
}

void Emit::transmit(Packet& p, std::uint32_t port) {
    leave(p);
    forward(p, port);
}

void Emit::hand_to_worker(Packet& p, std::uint32_t to) {
    leave(p);
    append(to_workers_[to % limits::max_workers], p, [](Emit& e, Outbox& box) {
        e.host_.hand_to_worker(e.host_.host, e.worker, box.to, box.packets.data(), box.count);
    });
}

void Emit::hand_to_engine(Packet& p) {
    leave(p);
    append(to_engine_, p, [](Emit& e, Outbox& box) {
        e.host_.hand_to_engine(e.host_.host, e.worker, box.packets.data(), box.count);
    });
}

void Emit::keep(Packet& p) {
    leave(p);
}

void Emit::forget(flow::FlowPair& pair) {
    if (pair.condemned) return;
    if (forgotten_count_ == forgotten_.size()) return;  // it ages out instead
    pair.condemned = 1;
    pair.hot[0].epoch = pair.hot[1].epoch = 0;
    forgotten_[forgotten_count_++] = &pair;
}

bool Emit::renew(flow::FlowPair& pair, std::uint8_t direction, const PortEntry& port) {
    flow::Hot& hot = pair.hot[direction];
    if (!port.history || hot.engine != engine) return false;
    const net::Tuple& tuple = pair.key.tuple;
    Renewed& known = renewed_[hot.program % renewed_.size()];
    if (!known.is_for(hot, port) || known.changed.may_have(tuple.dst_port) ||
        !programs_.get(known.to)) {
        const ActionProgram* program = programs_.get(hot.program);
        if (!program || program->act_before != 0 || !program->behind_is(hot.epoch, engine) ||
            !port.history->still_holds(hot.epoch, tuple, pair.initiator_outside == 0))
            return false;
        ActionProgram now = *program;
        now.behind_epoch = port.epoch;
        known = {hot.program, programs_.put(now), hot.epoch, port.epoch,
                 port.history->changed_ports(hot.epoch)};
    }
    hot.program = known.to;
    hot.epoch = port.epoch;
    ++renewals_;
    return true;
}

void Emit::use(flow::Table& shard) {
    flows = &shard;
    programs_.open();
    shard.on_cut(
        [](void* emit, flow::FlowPair& leader, flow::FlowPair& follower) {
            const Emit& self = *static_cast<Emit*>(emit);
            self.part(leader.hot[0], follower.hot[0]);
            self.part(follower.hot[1], leader.hot[1]);
        },
        this);
}

// `out` has the program that carried packets from guest to guest while two records were fused. From
// now on it ends where they leave the sender; `in` gets what the receiver's own record said.
void Emit::part(const flow::Hot& out, flow::Hot& in) const {
    const ActionProgram* both = out.engine == engine ? programs_.get(out.program) : nullptr;
    const ActionProgram* own = both ? programs_.get(both->reach_program) : nullptr;
    if (!own || out.epoch == 0) return;
    in.epoch = own->behind_epoch;
    in.engine = engine;
    in.program = both->reach_program;
}

bool Emit::load_program(Packet& p) {
    const ActionProgram* known = programs_.get(p.flow->hot[p.direction].program);
    p.program = own_program(p);
    if (known) *p.program = *known;
    return known != nullptr;
}

void Emit::store_program(const Packet& p) {
    p.flow->hot[p.direction].program = programs_.put(*p.program);
}

void Emit::send(Outbox& box, void (*how)(Emit&, Outbox&)) {
    if (box.count == 0) return;
    how(*this, box);
    box.count = 0;
}

void Emit::flush() {
    for (Outbox& box : transmits_) send(box, transmit_box);
    for (Outbox& box : to_workers_)
        send(box, [](Emit& e, Outbox& b) {
            e.host_.hand_to_worker(e.host_.host, e.worker, b.to, b.packets.data(), b.count);
        });
    send(to_engine_, [](Emit& e, Outbox& b) {
        e.host_.hand_to_engine(e.host_.host, e.worker, b.packets.data(), b.count);
    });
    send(released_, [](Emit& e, Outbox& b) {
        e.host_.release(e.host_.host, e.worker, b.packets.data(), b.count);
    });
    for (std::size_t i = 0; i < forgotten_count_; ++i) flows->erase(*forgotten_[i]);
    forgotten_count_ = 0;
}

}  // namespace weir::dataplane
