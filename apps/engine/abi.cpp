#include "apps/engine/abi.hpp"

#include <string>

#include "apps/engine/engine.hpp"
#include "model/json.hpp"

// The C ABI of the engine: no exception crosses it, every refusal is written to the sink.
namespace {

using weir::engine::Engine;

Engine& of(weir_engine* engine) {
    return *reinterpret_cast<Engine*>(engine);
}

void write(weir_sink sink, std::string_view text) {
    if (sink.write) sink.write(sink.context, text.data(), text.size());
}

void refuse(weir_sink sink, const weir::Error& error) {
    weir::model::Value v = weir::model::Value::object();
    v.set("object", error.object);
    v.set("field", error.field);
    v.set("message", error.message);
    write(sink, weir::model::dump_json(v));
}

// Runs `call`; what it throws (out of memory, a defect) becomes a refusal.
template <class Answer, class Call>
Answer guarded(weir_sink error, Answer otherwise, Call&& call) {
    try {
        return call();
    } catch (const std::exception& e) {
        refuse(error, {weir::Errc::internal, "engine", "", e.what()});
    } catch (...) {
        refuse(error, {weir::Errc::internal, "engine", "", "unknown failure"});
    }
    return otherwise;
}

weir_engine* create(const weir_host_vtable* host, const char* host_name, std::uint32_t instance,
                    weir_sink error) {
    return guarded<weir_engine*>(error, nullptr, [&]() -> weir_engine* {
        if (host->abi_version != weir_abi_version) {
            refuse(error, weir::invalid("abi_version", "the shell speaks another version"));
            return nullptr;
        }
        auto engine = Engine::create(*host, host_name, instance);
        if (engine) return reinterpret_cast<weir_engine*>(std::move(engine).value().release());
        refuse(error, engine.error());
        return nullptr;
    });
}

void destroy(weir_engine* engine) {
    delete &of(engine);
}

std::uint64_t ticket_or_refusal(const weir::Result<std::uint64_t>& ticket, weir_sink error) {
    if (ticket) return *ticket;
    refuse(error, ticket.error());
    return 0;
}

std::uint64_t publish(weir_engine* engine, const char* bytes, std::size_t count,
                      std::uint64_t revision, weir_sink error) {
    return guarded<std::uint64_t>(error, 0, [&] {
        return ticket_or_refusal(of(engine).publish({bytes, count}, revision), error);
    });
}

bool settled(weir_engine* engine, std::uint64_t ticket) {
    return of(engine).settled(ticket);
}

std::uint64_t introduce(weir_engine* engine, const weir_port_info* port, weir_sink error) {
    return guarded<std::uint64_t>(
        error, 0, [&] { return ticket_or_refusal(of(engine).introduce(*port), error); });
}

std::uint64_t attach(weir_engine* engine, const weir_port_info* port, weir_sink error) {
    return guarded<std::uint64_t>(
        error, 0, [&] { return ticket_or_refusal(of(engine).attach(*port), error); });
}

std::uint64_t detach(weir_engine* engine, std::uint32_t port) {
    return guarded<std::uint64_t>({}, 0, [&] { return of(engine).detach(port); });
}

std::uint64_t quiesce(weir_engine* engine, std::uint32_t port) {
    return guarded<std::uint64_t>({}, 0, [&] { return of(engine).quiesce(port); });
}

bool done_or_refusal(const weir::Status& status, weir_sink error) {
    if (!status) refuse(error, status.error());
    return status.ok();
}

bool save(weir_engine* engine, std::uint32_t port, bool in_place, bool delta, weir_sink out,
          weir_sink error) {
    return guarded(error, false, [&] {
        return done_or_refusal(of(engine).save(port, in_place, delta, out), error);
    });
}

bool restore(weir_engine* engine, std::uint32_t port, bool in_place, const char* bytes,
             std::size_t count, weir_sink error) {
    return guarded(error, false, [&] {
        return done_or_refusal(of(engine).restore(port, in_place, {bytes, count}), error);
    });
}

std::uint32_t run(weir_engine* engine, std::uint32_t worker, weir::net::Packet** packets,
                  std::uint32_t count, std::uint64_t now_ns) {
    return of(engine).run(worker, packets, count, now_ns);
}

void tick(weir_engine* engine, std::uint32_t worker, std::uint64_t now_ns) {
    of(engine).tick(worker, now_ns);
}

void leave(weir_engine* engine, std::uint32_t worker) {
    of(engine).leave(worker);
}

template <class Ask>
void answer(const char* request, std::size_t count, weir_sink out, Ask&& ask) {
    guarded(out, false, [&] {
        auto question = weir::model::parse_json({request, count});
        if (!question) {
            refuse(out, question.error());
            return false;
        }
        write(out, weir::model::dump_json(ask(*question)));
        return true;
    });
}

void query(weir_engine* engine, const char* request, std::size_t count, weir_sink out) {
    answer(request, count, out, [&](const weir::model::Value& q) { return of(engine).query(q); });
}

void worker_query(weir_engine* engine, std::uint32_t worker, const char* request, std::size_t count,
                  std::uint64_t now_ns, weir_sink out) {
    answer(request, count, out,
           [&](const weir::model::Value& q) { return of(engine).worker_query(worker, q, now_ns); });
}

void write(weir_sink sink, const std::vector<std::uint8_t>& bytes) {
    write(sink, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

std::uint32_t save_slice(weir_engine* engine, std::uint32_t worker, std::uint32_t port,
                         std::uint64_t now_ns, weir_sink out, weir_sink error) {
    return guarded<std::uint32_t>(error, weir_slice_refused, [&]() -> std::uint32_t {
        std::vector<std::uint8_t> bytes;
        const auto more = of(engine).save_slice(worker, port, now_ns, bytes);
        if (!more) {
            refuse(error, more.error());
            return weir_slice_refused;
        }
        if (!bytes.empty()) write(out, bytes);
        return *more ? weir_slice_more : weir_slice_last;
    });
}

bool restore_slice(weir_engine* engine, std::uint32_t worker, std::uint32_t port, const char* bytes,
                   std::size_t count, std::uint64_t now_ns, weir_sink answer, weir_sink error) {
    return guarded(error, false, [&] {
        std::vector<std::uint8_t> handles;
        const auto status = of(engine).restore_slice(worker, port, {bytes, count}, now_ns, handles);
        if (!handles.empty()) write(answer, handles);
        return done_or_refusal(status, error);
    });
}

std::uint64_t forward(weir_engine* engine, const weir_port_move* move, const char* handles,
                      std::size_t count, weir_sink error) {
    return guarded<std::uint64_t>(error, 0, [&] {
        return ticket_or_refusal(of(engine).forward(*move, {handles, count}), error);
    });
}

}  // namespace

weir_engine_api weir::engine::engine_api(const char* build_id, const char* version) {
    return {weir_abi_version, build_id,      version, create,  destroy, publish,
            settled,          introduce,     attach,  quiesce, detach,  save,
            restore,          run,           tick,    leave,   query,   worker_query,
            save_slice,       restore_slice, forward};
}
