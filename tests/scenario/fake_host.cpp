#include "tests/scenario/fake_host.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "apps/engine/abi.hpp"
#include "base/check.hpp"
#include "base/limits.hpp"
#include "model/json.hpp"
#include "net/checksum.hpp"
#include "net/parse.hpp"
#include "tests/scenario/text_sink.hpp"

namespace weir::scenario {

namespace {

constexpr std::uint32_t largest_frame_bytes = 65536;

}  // namespace

FakeHost::FakeHost(std::string name, std::uint32_t workers, std::uint32_t flows)
    : name_(std::move(name)), api_(engine::engine_api("scenario", "0")), inbox_(workers) {
    vtable_.abi_version = weir_abi_version;
    vtable_.workers = workers;
    vtable_.flows_per_worker = flows;
    vtable_.host = this;
    vtable_.transmit = [](void* h, std::uint32_t, std::uint32_t port, net::Packet** packets,
                          std::uint32_t n) {
        FakeHost& self = of(h);
        for (std::uint32_t i = 0; i < n; ++i) {
            net::Packet& p = *packets[i];
            self.sent_.push_back(
                {self.name_, self.names_.at(port), Frame(p.data, p.data + p.length)});
            self.free_packet(&p);
        }
    };
    vtable_.allocate = [](void* h, std::uint32_t, net::Packet** out, std::uint32_t n) {
        std::uint32_t made = 0;
        while (made < n && of(h).in_use_ < of(h).most_packets)
            out[made++] = of(h).make_packet(largest_frame_bytes);
        return made;
    };
    vtable_.release = [](void* h, std::uint32_t, net::Packet** packets, std::uint32_t n) {
        for (std::uint32_t i = 0; i < n; ++i) of(h).free_packet(packets[i]);
    };
    vtable_.hand_to_worker = [](void* h, std::uint32_t, std::uint32_t to, net::Packet** packets,
                                std::uint32_t n) {
        for (std::uint32_t i = 0; i < n; ++i) of(h).inbox_[to].push_back(packets[i]);
    };
    vtable_.hand_to_engine = [](void* h, std::uint32_t w, net::Packet** packets, std::uint32_t n) {
        for (std::uint32_t i = 0; i < n; ++i) of(h).to_engine_.push_back({w, packets[i]});
    };
    vtable_.pool = [](void* h, const char* pool_name, std::size_t bytes, std::uint32_t,
                      std::uint32_t* adoption) { return of(h).pool(pool_name, bytes, adoption); };
    vtable_.event = [](void* h, const char* json, std::size_t bytes) {
        of(h).events.emplace_back(json, bytes);
    };
    restart_engine();
}

FakeHost::~FakeHost() {
    for (weir_engine* engine : engines()) {
        leave(engine);
        api_.destroy(engine);
    }
    for (auto& box : inbox_)
        for (net::Packet* p : box) free_packet(p);
    free_handed_over();
    WEIR_CHECK(in_use_ == 0, "packets were lost: neither sent nor dropped");
}

void FakeHost::leave(weir_engine* engine) {
    for (std::uint32_t w = 0; w < inbox_.size(); ++w) api_.leave(engine, w);
}

void FakeHost::free_handed_over() {
    for (const auto& [worker, p] : to_engine_) free_packet(p);
    for (const auto& [worker, p] : parked_) free_packet(p);
    to_engine_.clear();
    parked_.clear();
}

void FakeHost::lose_pools(const std::string& names_with) {
    for (auto& [name, pool] : pools_)
        if (name.starts_with(names_with)) std::memset(pool.start, 0, pool.bytes);
}

void FakeHost::restart_engine() {
    if (engine_) {
        leave(engine_);
        add_exits(exits_of_past_engines_);
        api_.destroy(engine_);
        free_handed_over();  // it was a kill: nothing goes on
    }
    std::string error;
    engine_ = api_.create(&vtable_, name_.c_str(), ++instance_, into(error));
    WEIR_CHECK(engine_ != nullptr, error.c_str());
    for (const auto& [name, index] : ports_) attach(name, index);
    if (!last_snapshot_.empty())
        api_.publish(engine_, last_snapshot_.data(), last_snapshot_.size(), last_revision_,
                     into(error));
}

void* FakeHost::pool(const char* name, std::size_t bytes, std::uint32_t* adoption) {
    Pool& pool = pools_[name];
    if (pool.bytes == bytes) {
        *adoption = instance_ > 1 && last_revision_ != 0 && shared_from_ != instance_
                        ? weir_pool_recovered
                        : weir_pool_shared;
        return pool.start;
    }
    // Zeroed by the kernel: most of a pool is never touched.
    pool.memory.reset(static_cast<std::byte*>(std::calloc(bytes + 64, 1)));
    const auto address = reinterpret_cast<std::uintptr_t>(pool.memory.get());
    pool.start = pool.memory.get() + (64 - address % 64) % 64;
    pool.bytes = bytes;
    *adoption = weir_pool_created;
    return pool.start;
}

net::Packet* FakeHost::make_packet(std::uint32_t room) {
    constexpr std::uint32_t before = sizeof(net::Packet) + limits::packet_headroom_bytes;
    void* block = ::operator new(before + room, std::align_val_t(alignof(net::Packet)));
    auto* p = new (block) net::Packet;
    p->data = static_cast<std::uint8_t*>(block) + before;
    p->headroom = limits::packet_headroom_bytes;
    p->tailroom = room;
    ++in_use_;
    return p;
}

void FakeHost::free_packet(net::Packet* p) {
    --in_use_;
    ::operator delete(p, std::align_val_t(alignof(net::Packet)));
}

weir_port_info FakeHost::info_of(const std::string& name, std::uint32_t index) const {
    weir_port_info info{};
    info.index = index;
    info.incarnation = 1;
    info.polling_worker = index % vtable_.workers;
    info.mtu = name == "underlay" ? 1700 : 9000;
    std::strncpy(info.name, name.c_str(), sizeof info.name - 1);
    return info;
}

std::string FakeHost::attach(const std::string& name, std::uint32_t index) {
    const weir_port_info info = info_of(name, index);
    std::string error;
    return api_.attach(engine_, &info, into(error)) != 0 ? "" : error;
}

std::string FakeHost::apply(const std::string& canonical, std::uint64_t revision,
                            const std::vector<std::string>& port_names) {
    std::string error;
    for (weir_engine* engine : engines())
        if (api_.publish(engine, canonical.data(), canonical.size(), revision, into(error)) == 0)
            return error;
    last_snapshot_ = canonical;
    last_revision_ = revision;
    for (const std::string& port : port_names) open(port);
    for (auto it = ports_.begin(); it != ports_.end();) {
        const bool wanted =
            std::find(port_names.begin(), port_names.end(), it->first) != port_names.end();
        if (!wanted) api_.detach(owner_of(it->second), it->second);
        it = wanted ? std::next(it) : ports_.erase(it);
    }
    return {};
}

void FakeHost::open(const std::string& port) {
    if (ports_.contains(port)) return;
    WEIR_CHECK(!second_, "no port is opened while an engine takes over");
    const auto index = static_cast<std::uint32_t>(names_.size());
    ports_[port] = index;
    names_[index] = port;
    const std::string refused = attach(port, index);
    WEIR_CHECK(refused.empty(), refused.c_str());
}

void FakeHost::receive(const std::string& port, const Frame& frame, std::uint64_t now_ns,
                       const Offload& offload) {
    const auto found = ports_.find(port);
    WEIR_CHECK(found != ports_.end(), "the scenario sends at a port that the host does not have");
    const std::uint32_t index = found->second, worker = index % vtable_.workers;
    // Nothing is behind the frame, so that address sanitizers see every step beyond its end.
    net::Packet* p = make_packet(static_cast<std::uint32_t>(frame.size()));
    std::copy(frame.begin(), frame.end(), p->append(static_cast<std::uint32_t>(frame.size())));
    // A frame without a checksum that could be left partial is flagged all the same: devices err.
    if ((offload.flags & net::packet_partial_checksum) && net::parse(*p) == net::ParseError::none)
        (void)net::make_partial_checksum(*p);
    p->flags = offload.flags;
    p->segment_bytes = offload.segment_bytes;
    p->hand = {};
    p->hand.port = index;
    now_ns_ = now_ns;
    run(worker, p, now_ns);
    run_pending(now_ns);
}

void FakeHost::run_or_park(std::uint32_t worker, net::Packet* p, std::uint64_t now_ns) {
    if (frozen_.contains(p->hand.port)) parked_.emplace_back(worker, p);
    else run(worker, p, now_ns);
}

void FakeHost::run_pending(std::uint64_t now_ns) {
    bool more = true;
    while (more) {
        more = false;
        for (std::uint32_t w = 0; w < inbox_.size(); ++w) {
            if (inbox_[w].empty()) continue;
            net::Packet* p = inbox_[w].front();
            inbox_[w].pop_front();
            run_or_park(w, p, now_ns);
            more = true;
        }
        while (!to_engine_.empty()) {
            const auto [worker, p] = to_engine_.front();
            to_engine_.pop_front();
            run_or_park(worker, p, now_ns);
            more = true;
        }
    }
}

void FakeHost::tick(std::uint64_t now_ns) {
    now_ns_ = now_ns;
    for (weir_engine* engine : engines())
        for (std::uint32_t w = 0; w < inbox_.size(); ++w) api_.tick(engine, w, now_ns);
    run_pending(now_ns);
}

model::Value FakeHost::ask_worker(weir_engine* engine, std::uint32_t worker,
                                  const model::Value& request, std::uint64_t now_ns) {
    const std::string text = model::dump_json(request);
    std::string answer;
    api_.worker_query(engine, worker, text.data(), text.size(), now_ns, into(answer));
    auto value = model::parse_json(answer, model::trusted_limits);
    WEIR_CHECK(value.ok(), "the engine answers in JSON");
    return std::move(value).value();
}

model::Value FakeHost::ask(const model::Value& request, std::uint64_t now_ns) {
    model::Value answer = ask_worker(engine_, 0, request, now_ns);
    run_pending(now_ns);
    return answer;
}

model::Value FakeHost::query(const model::Value& request, std::uint64_t now_ns) {
    model::Value joined = model::Value::array();
    model::Value of_second = request;
    if (request["what"].as_text() == "counters") of_second.set("without_shared", true);
    for (weir_engine* engine : engines())
        for (std::uint32_t w = 0; w < inbox_.size(); ++w) {
            const model::Value& asked = engine == engine_ ? request : of_second;
            const model::Value rows = ask_worker(engine, w, asked, now_ns)["rows"];
            for (const model::Value& row : rows.items()) joined.push(row);
        }
    run_pending(now_ns);
    return joined;
}

std::uint64_t FakeHost::counter(const std::string& metric,
                                const std::map<std::string, std::string>& labels) {
    model::Value request = model::Value::object();
    request.set("what", "counters");
    std::uint64_t sum = 0;
    const model::Value rows = query(request, now_ns_);
    for (const model::Value& row : rows.items()) {
        if (row["metric"].as_text() != metric) continue;
        const auto differs = [&](const auto& label) {
            return row["labels"][label.first].as_text() != label.second;
        };
        if (std::any_of(labels.begin(), labels.end(), differs)) continue;
        sum += row["value"].as_uint();
    }
    return sum;
}

void FakeHost::add_exits(std::map<std::string, std::uint64_t>& taken) {
    if (&taken != &exits_of_past_engines_)
        for (const auto& [reason, count] : exits_of_past_engines_) taken[reason] += count;
    model::Value request = model::Value::object();
    request.set("what", "counters");
    const model::Value rows = query(request, now_ns_);
    for (const model::Value& row : rows.items())
        if (row["metric"].as_text() == "weir_drops_total")
            taken[row["labels"]["reason"].as_text()] += row["value"].as_uint();
}

std::vector<Sent> FakeHost::take_sent() {
    return std::exchange(sent_, {});
}

std::vector<std::string> FakeHost::port_names() const {
    std::vector<std::string> out;
    for (const auto& [name, index] : ports_) out.push_back(name);
    return out;
}

}  // namespace weir::scenario
